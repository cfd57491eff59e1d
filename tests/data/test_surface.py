import subprocess
import sys


def test_the_import_loads_no_heavy_package():
    code = "import lexpand.data, sys; print(*sys.modules)"
    loaded = set(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
    )
    assert not loaded & {"scipy", "pyarrow", "backports.zstd", "compression.zstd"}
