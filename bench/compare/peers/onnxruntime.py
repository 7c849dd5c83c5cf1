"""onnxruntime: inference only, of a graph that ends in probabilities and classes."""

import onnxruntime
from onnx import TensorProto, helper, numpy_helper


class OnnxRuntime:
    """A session with all graph optimisations, which are its default."""

    def __init__(self, threads):
        self._options = onnxruntime.SessionOptions()
        self._options.intra_op_num_threads = threads
        self._options.inter_op_num_threads = 1

    def classifier(self, layers):
        """Return two functions; see peers."""
        return self._session(layers, "Softmax", "proba"), self._session(layers, "ArgMax", "classes")

    def _session(self, layers, last, name):
        model = _model(layers, last, name).SerializeToString()
        session = onnxruntime.InferenceSession(model, self._options, providers=["CPUExecutionProvider"])
        return lambda X: session.run([name], {"X": X})[0]


def _model(layers, last, name):
    """Return the network with the operation `last` at its end, whose result has this name."""
    nodes, constants, value = [], [], "X"
    for i, (W, b) in enumerate(layers):
        constants += [numpy_helper.from_array(W, f"W{i}"), numpy_helper.from_array(b, f"b{i}")]
        nodes.append(helper.make_node("Gemm", [value, f"W{i}", f"b{i}"], [f"Z{i}"]))
        value = f"Z{i}"
        if i < len(layers) - 1:
            nodes.append(helper.make_node("Relu", [value], [f"A{i}"]))
            value = f"A{i}"
    inputs = helper.make_tensor_value_info("X", TensorProto.FLOAT, ["n", len(layers[0][0])])
    if last == "Softmax":
        nodes.append(helper.make_node("Softmax", [value], [name], axis=1))
        result = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", len(layers[-1][1])])
    else:
        nodes.append(helper.make_node("ArgMax", [value], [name], axis=1, keepdims=0))
        result = helper.make_tensor_value_info(name, TensorProto.INT64, ["n"])
    graph = helper.make_graph(nodes, "network", [inputs], [result], constants)
    # Versions of the format that have these operations and that older runtimes read, too.
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
