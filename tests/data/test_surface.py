import subprocess
import sys


def test_importing_brings_nothing_heavy():
    code = "import lexpand.data, sys; print(*sys.modules)"
    loaded = set(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
    )
    assert not loaded & {"scipy", "pyarrow", "backports.zstd", "compression.zstd"}
