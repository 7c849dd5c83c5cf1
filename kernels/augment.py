"""Distorted copies of images: an affine map and an elastic displacement, drawn for each image, in one bilinear interpolation.

The pixel p of the new image is read at c + M (p - c - t) + d(p) of the old one; c is the centre of the image, t the shift,
M the inverse of rotation, scaling and shear, d the displacement. What lies outside is 0.
d = alpha G * u: uniform numbers u from -1 to 1, one for each pixel and direction, smoothed by a Gaussian G. Source: Simard,
Steinkraus and Platt, Best practices for convolutional neural networks, 2003, section 2. They leave open what is beyond the
edge. Here the rows follow one another, and the first the last: the numbers are one ring. Thus displacements at the edge are
as large as elsewhere, and both passes of the Gaussian are loops over the whole image.
All draws of an image are functions of a key and of its row number, so it does not matter which thread makes it, or when.
"""

import math

import numpy as np

from ._jit import helper, jit
from .exp_log import fma
from .random import uniform

PROBABILITY, SHIFT, ANGLE, SCALING, SHEAR, ALPHA, SETTINGS = range(7)
"""Columns of the settings, and their number: of distorting an image at all, of the largest shift (pixels), angle (radians),
relative change of size, and shear (columns a row); and the factor of the displacement."""

_DRAWS = 8  # numbers drawn for the map of an image; those of its displacements follow


def gaussian_taps(sigma):
    """The weights of a Gaussian of deviation `sigma` at distances 0, 1 ... to 3 sigma, rounded up; both sides sum to 1."""
    if sigma == 0:
        return np.ones(1)
    taps = np.exp(-0.5 * (np.arange(math.ceil(3 * sigma) + 1) / sigma) ** 2)
    return taps / (taps[0] + 2 * taps[1:].sum())


@helper
def smooth(ring, result, pixels, step, taps):
    """result[i] = sum_k taps[|k|] ring[i + k step], i < pixels, around a ring, which has room for the sum at both ends."""
    margin = (taps.size - 1) * step
    for i in range(margin):
        ring[margin + pixels + i] = ring[margin + i]
    for i in range(margin - 1, -1, -1):
        ring[i] = ring[i + pixels]
    middle = taps[0]
    centre = ring[margin : margin + pixels]
    for i in range(pixels):
        result[i] = middle * centre[i]
    for k in range(1, taps.size):
        tap = taps[k]
        before = ring[margin - k * step : margin - k * step + pixels]
        behind = ring[margin + k * step : margin + k * step + pixels]
        for i in range(pixels):
            result[i] = fma(tap, before[i] + behind[i], result[i])


@helper
def displace(counter, key, width, taps, alpha, across, down, displacement):
    """The displacement alpha G * u in one direction, its u drawn from `counter` on; `across` and `down` are rings to work in."""
    kind = displacement.dtype.type
    pixels = displacement.size
    margin, step = taps.size - 1, (taps.size - 1) * width
    fresh = across[margin : margin + pixels]
    for i in range(pixels):
        fresh[i] = fma(uniform(counter + i, key, alpha), kind(2), kind(-1))
    smooth(across, down[step : step + pixels], pixels, 1, taps)
    smooth(down, displacement, pixels, width, taps)
    for i in range(pixels):
        displacement[i] *= alpha


@helper
def draw_map(counter, key, settings):
    """The map of one image: M by rows and t, (M_xx, M_xy, M_yx, M_yy, t_x, t_y)."""
    t_x = _between(counter, key, settings[SHIFT])
    t_y = _between(counter + 1, key, settings[SHIFT])
    angle = _between(counter + 2, key, settings[ANGLE])
    size = 1.0 + _between(counter + 3, key, settings[SCALING])
    shear = _between(counter + 4, key, settings[SHEAR])
    # M = [[1, -shear], [0, 1]] [[cos, sin], [-sin, cos]] / size
    cosine, sine = math.cos(angle) / size, math.sin(angle) / size
    return cosine + shear * sine, sine - shear * cosine, -sine, cosine, t_x, t_y


@helper
def _between(counter, key, bound):
    return bound * (2.0 * uniform(counter, key, 1.0) - 1.0)


@helper
def locate(height, width, mapping, displacement_x, displacement_y, places, fractions_x, fractions_y):
    """Where each pixel is read: its place in the image with a border of zeros, and how far it is from it to the next."""
    kind = fractions_x.dtype.type
    m_xx, m_xy, m_yx, m_yy = kind(mapping[0]), kind(mapping[1]), kind(mapping[2]), kind(mapping[3])
    centre_x, centre_y = kind(0.5 * (width - 1)), kind(0.5 * (height - 1))
    # One more for the border: the image's first pixel is at (1, 1).
    first_x, first_y = centre_x + kind(1), centre_y + kind(1)
    zero, last_x, last_y = kind(0), kind(width + 1), kind(height + 1)
    for row in range(height):
        y = kind(row) - centre_y - kind(mapping[5])
        start = row * width
        for column in range(width):
            x = kind(column) - centre_x - kind(mapping[4])
            at_x = m_xx * x + m_xy * y + displacement_x[start + column] + first_x
            at_y = m_yx * x + m_yy * y + displacement_y[start + column] + first_y
            at_x = min(max(at_x, zero), last_x)
            at_y = min(max(at_y, zero), last_y)
            whole_x, whole_y = np.int32(at_x), np.int32(at_y)
            places[start + column] = whole_y * np.int32(width + 3) + whole_x
            fractions_x[start + column] = at_x - kind(whole_x)
            fractions_y[start + column] = at_y - kind(whole_y)


@helper
def interpolate(bordered, places, fractions_x, fractions_y, width, result):
    """result[i] = the image at place i and its fractions, between the four pixels around; exactly a pixel's where both are 0."""
    below = bordered[width + 3 :]
    for i in range(places.size):
        place = np.uint64(places[i])
        beside = place + np.uint64(1)
        x, y = fractions_x[i], fractions_y[i]
        upper = fma(x, bordered[beside] - bordered[place], bordered[place])
        lower = fma(x, below[beside] - below[place], below[place])
        result[i] = fma(y, lower - upper, upper)


@jit
def augment_rows(X, rows, key, height, width, settings, taps, out):
    """out[i] = a distorted copy of image X[rows[i]], the same for the same key, row number and settings.

    X         (n, height width), float32 or float64
    rows      int64 (m,)
    key       odd uint64, see random.py
    settings  float64 (SETTINGS,)
    taps      (1 + radius,) of X's type: half a Gaussian, see gaussian_taps; used where settings[ALPHA] is not 0
    out       (m, height width) of X's type; written
    """
    kind = X.dtype.type
    pixels = height * width
    alpha = kind(settings[ALPHA])
    radius = taps.size - 1
    across = np.empty(pixels + 2 * radius, X.dtype)
    down = np.empty(pixels + 2 * radius * width, X.dtype)
    displacement_x, displacement_y = np.zeros(pixels, X.dtype), np.zeros(pixels, X.dtype)
    fractions_x, fractions_y = np.empty(pixels, X.dtype), np.empty(pixels, X.dtype)
    places = np.empty(pixels, np.int32)
    bordered = np.zeros((height + 3) * (width + 3), X.dtype)
    draws = _DRAWS + 2 * pixels
    for i in range(rows.size):
        image, result = X[rows[i]], out[i]
        counter = rows[i] * draws
        if uniform(counter, key, 1.0) >= settings[PROBABILITY]:
            for j in range(pixels):
                result[j] = image[j]
            continue
        if alpha != 0:
            first = counter + _DRAWS
            displace(first, key, width, taps, alpha, across, down, displacement_x)
            displace(first + pixels, key, width, taps, alpha, across, down, displacement_y)
        mapping = draw_map(counter + 1, key, settings)
        locate(height, width, mapping, displacement_x, displacement_y, places, fractions_x, fractions_y)
        for row in range(height):
            start = (row + 1) * (width + 3) + 1
            for column in range(width):
                bordered[start + column] = image[row * width + column]
        interpolate(bordered, places, fractions_x, fractions_y, width, result)
