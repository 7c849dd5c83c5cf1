"""A panel of W^T made while the one before is multiplied with: the job that the tiles go on with, and what they leave undone."""

from ._jit import helper
from .layout import FAN_IN, FAN_OUT, REST, REST_PLACE, REST_STRIDE, WEIGHTS, WHOLE
from .processor import VECTOR_BYTES
from .side_work import TransposeAhead
from .tile import TURNS, VECTORS, address
from .transpose import transpose_block

_JOB = TransposeAhead
_COUNTDOWN, _DONE, _PIECES, _INTERVAL = _JOB.COUNTDOWN, _JOB.DONE, _JOB.PIECES, _JOB.INTERVAL
_SOURCE, _PANEL_STEP, _TARGET, JOB_WORDS = _JOB.SOURCE, _JOB.PANEL_STEP, _JOB.TARGET, _JOB.WORDS

_PIECES_A_BLOCK = VECTOR_BYTES // 16


@helper
def no_job(job):
    """Have the tiles transpose nothing."""
    job[_COUNTDOWN], job[_DONE], job[_PIECES] = 1 << 62, 0, 0


@helper
def plan_job(job, layer, parameters, column, out, tiles):
    """Have so many tiles, of fan_out turns each, transpose the panel `column` of W^T into `out`; it must be a whole one."""
    itemsize = parameters.itemsize
    panel = VECTORS * (VECTOR_BYTES // itemsize)
    fan_in, fan_out = layer[FAN_IN], layer[FAN_OUT]
    panels = fan_out // panel
    pieces = VECTORS * VECTORS * panels * _PIECES_A_BLOCK
    if pieces == 0:
        no_job(job)
        return
    job[_DONE], job[_PIECES] = 0, pieces
    job[_INTERVAL] = job[_COUNTDOWN] = fan_out // TURNS * tiles // pieces
    job[_SOURCE] = address(parameters, layer[WEIGHTS] + column * panel)
    job[_PANEL_STEP] = fan_in * panel * itemsize
    job[_TARGET] = address(out, 0)


@helper
def finish_job(job, layer, parameters, column, out):
    """Transpose what the tiles have left of the panel `column`."""
    vector = VECTOR_BYTES // parameters.itemsize
    blocks = job[_DONE] // _PIECES_A_BLOCK // VECTORS  # one below the other, so that a column of them is done
    transpose_panel(layer, parameters, column, VECTORS * vector, blocks * vector, out)


@helper
def transpose_panel(layer, parameters, column, width, first, out):
    """out[o, i] = W[column + i, o] for i < width (zero beyond fan_in), o >= first, a multiple of the vector's width."""
    itemsize = out.itemsize
    vector = VECTOR_BYTES // itemsize
    panel = VECTORS * vector
    fan_in = layer[FAN_IN]
    kind = out.dtype.type(0)
    for block in range(column, column + width, vector):
        whole = block + vector <= fan_in
        for group in range(first, layer[WHOLE], vector):
            # Columns [group, group + vector) lie in a panel that is two vectors wide, or one at the end.
            panel_start = group // panel * panel
            stride = min(panel, layer[WHOLE] - panel_start)
            source = layer[WEIGHTS] + panel_start * fan_in + block * stride + group - panel_start
            target = group * width + block - column
            if whole:
                transpose_block(address(parameters, source), stride, address(out, target), width, kind)
            else:
                for o in range(vector):
                    for i in range(vector):
                        inside = block + i < fan_in
                        out[target + o * width + i] = parameters[source + i * stride + o] if inside else kind
    for number in range(layer[REST]):
        source = layer[REST_PLACE] + number * layer[REST_STRIDE] + column
        target = (layer[WHOLE] + number) * width
        for i in range(width):
            out[target + i] = parameters[source + i]
