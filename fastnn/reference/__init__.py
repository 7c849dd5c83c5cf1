"""Everything that the kernels do, in plain Python lists and 64-bit floats, written to be read.

It needs nothing but the standard library, and shares no code with the kernels that are checked against it.
"""

from .jacobian import long_form_gradient as long_form_gradient
from .jacobian import softmax_jacobian as softmax_jacobian
from .network import backward as backward
from .network import forward as forward
from .operations import matmul as matmul
from .operations import relu as relu
from .operations import softmax as softmax
from .operations import softmax_cross_entropy as softmax_cross_entropy
from .optimizers import SGD as SGD
from .optimizers import Adagrad as Adagrad
from .optimizers import Adam as Adam
from .optimizers import Lion as Lion
from .optimizers import Regularised as Regularised
from .optimizers import RMSprop as RMSprop
from .training import loss_and_gradients as loss_and_gradients
from .training import train_step as train_step
from .value import Value as Value
