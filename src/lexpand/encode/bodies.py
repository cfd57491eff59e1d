"""A model's transformer in each dtype that is asked for."""

from __future__ import annotations

import threading

from lexpand.data.document_encoding import Dtype
from lexpand.encode.body import Body
from lexpand.encode.folder import Backend, ModelFolder, backend_for
from lexpand.encode.torch.body import TorchBody


class Bodies:
    """Transformers by dtype, each loaded when it is first asked for. May be shared by threads.

    Args:
        folder: the model.
        threads: that a batch alone may use.
        backend: what runs them where it has the dtype; by default PyTorch for bfloat16, else ONNX
            Runtime.
        device: of PyTorch.
    """

    def __init__(
        self, folder: ModelFolder, threads: int, backend: Backend | None, device: str | None
    ) -> None:
        self._path, self._threads = folder.path, threads
        self._backend, self._device = backend, device
        self._loaded: dict[Dtype, Body | TorchBody] = {}
        self._loading = threading.Lock()

    def get(self, dtype: Dtype, folder: ModelFolder | None = None) -> Body | TorchBody:
        """The transformer in this dtype.

        Args:
            dtype: the arithmetic.
            folder: the model's folder with what was read of it; read anew by default, so that
                nobody keeps the weights.

        Raises:
            ModelError, MissingExtra: see `ModelFolder.load_body`.
        """
        with self._loading:
            if dtype not in self._loaded:
                backend = backend_for(dtype, self._backend)
                # A device is PyTorch's; who named one without a backend is told so.
                device = self._device if backend == "torch" or self._backend is None else None
                folder = folder or ModelFolder(self._path)
                self._loaded[dtype] = folder.load_body(self._threads, backend, device, dtype)
            return self._loaded[dtype]
