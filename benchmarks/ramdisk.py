"""Where the files lie: a RAM disk that was written on before, so that no case pays for memory that
is touched for the first time.
"""

import shutil
import tempfile
from pathlib import Path

# bytes that the largest case holds at once: FLOAT, 60 and 10 minutes of stereo, and the result
LARGEST = 3300 << 20
LARGEST_QUICK = 200 << 20


def directory(size: int) -> Path:
    """A new directory on the RAM disk, or among the temporary files where that does not hold so
    many bytes.
    """
    ram = Path("/dev/shm")
    roomy = ram.is_dir() and shutil.disk_usage(ram).free > size
    return Path(tempfile.mkdtemp(prefix="earfilt-bench-", dir=ram if roomy else None))


def warm(folder: Path, size: int) -> int:
    """Write as many bytes as the largest case will, remove them, and say how many it were: what
    fits in half of the free memory.

    A virtual machine gets a page of memory from its host when it is first touched, which takes
    several times as long as writing it.
    """
    size = min(size, shutil.disk_usage(folder).free, available() // 2)
    path, block = folder / "warm", bytes(1 << 24)
    with path.open("wb") as file:
        for _ in range(size // len(block)):
            file.write(block)
    path.unlink()
    return size


def available() -> int:
    """Bytes of memory that programs can get without swapping; 0 where there is no /proc."""
    info = Path("/proc/meminfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next(
        (int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable")), 0
    )
