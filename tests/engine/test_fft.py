"""The FFT without scipy's front door is scipy's, to the last bit."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.fft

from earfilt.engine import fft

DTYPES = [np.float32, np.float64, np.complex64, np.complex128]


def segments(dtype: type, columns: int) -> np.ndarray:
    """Overlapping segments of noise, as the engine cuts them."""
    rng = np.random.default_rng(columns)
    noise = rng.standard_normal((7000, columns)) + (
        1j * rng.standard_normal((7000, columns)) if np.dtype(dtype).kind == "c" else 0
    )
    frames = noise.astype(dtype)
    step = frames.strides
    return np.lib.stride_tricks.as_strided(
        frames, (7, 1024, columns), (900 * step[0], *step), writeable=False
    )


@pytest.mark.parametrize("columns", [1, 2, 5])
@pytest.mark.parametrize("dtype", DTYPES)
def test_forward_and_backward_are_those_of_scipy(dtype: type, columns: int) -> None:
    x = segments(dtype, columns)
    is_complex = np.dtype(dtype).kind == "c"
    expected = (scipy.fft.fft if is_complex else scipy.fft.rfft)(x, axis=1)
    spectra = fft.forward(x)
    assert spectra.dtype == expected.dtype
    np.testing.assert_array_equal(spectra, expected)
    inverse = (scipy.fft.ifft if is_complex else scipy.fft.irfft)(
        expected, 1024, axis=1, norm="forward"
    )
    signals = fft.backward(spectra, 1024)
    assert signals.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(signals, inverse)


@pytest.mark.parametrize("dtype", DTYPES)
def test_through_the_front_door_it_is_the_same(dtype: type) -> None:
    forward, backward = fft._through_the_door()
    x = segments(dtype, 2)
    np.testing.assert_array_equal(forward(x), fft.forward(x))
    np.testing.assert_array_equal(backward(forward(x), 1024), fft.backward(fft.forward(x), 1024))


def test_another_scipy_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "scipy.fft._pocketfft.pypocketfft", raising=False)
    monkeypatch.setattr(fft.PathFinder, "find_spec", lambda *_: None)
    assert fft._compiled() is None


@pytest.mark.parametrize(
    "imports",
    [
        "from earfilt.engine import fft; import scipy.fft",
        "import scipy.fft; from earfilt.engine import fft",
    ],
)
def test_one_process_has_the_compiled_module_once(imports: str) -> None:
    """Twice, it crashes at the end of the process with scipy 1.13 to 1.16."""
    use = (
        "fft.forward(numpy.zeros((1, 8, 1))); scipy.fft.rfft([1.0]); assert "
        "scipy.fft._pocketfft.basic.pfft is fft._compiled()"
    )
    run = subprocess.run(
        [sys.executable, "-c", f"import numpy; {imports}; {use}"], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
