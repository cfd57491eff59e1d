"""Buckets on a server with the API of S3, for the tests of bulk encoding."""

from dataclasses import dataclass
from typing import Any

KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
"""The environment that names the keys, which the server of moto does not check."""


@dataclass(frozen=True)
class Bucket:
    """A bucket that no other test uses."""

    name: str
    system: Any  # of s3fs

    def url(self, folder: str) -> str:
        return f"s3://{self.name}/{folder}"

    def files(self, folder: str) -> dict[str, bytes]:
        """The files of a folder by name."""
        self.system.invalidate_cache()
        paths = self.system.find(f"{self.name}/{folder}")
        return {path.rpartition("/")[2]: self.system.cat_file(path) for path in paths}

    def parts(self, folder: str) -> dict[str, bytes]:
        return {name: file for name, file in self.files(folder).items() if name[:5] == "part-"}
