"""Bulk encoding on a cluster of Ray or Spark."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

from lexpand.engines.bulk import BulkJob, Shard, ShardReport, encode_here
from lexpand.errors import MissingExtra, StorageError

if TYPE_CHECKING:
    import pandas as pd

_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DATA_DISABLE_PROGRESS_BARS": "1"}


class Cluster(StrEnum):
    """Where shards are encoded."""

    HERE = "here"
    """In this process, one after the other."""

    RAY = "ray"
    """By Ray Data, on the cluster of ``RAY_ADDRESS``, or on this machine."""

    SPARK = "spark"
    """By Spark, in the session of `spark-submit`, or on this machine."""


def encode_shards(
    job: BulkJob, shards: Sequence[Shard], cluster: Cluster | str, workers: int = 1
) -> Iterator[ShardReport]:
    """Encode shards, and yield a report for each as it is done; Spark reports at the end.

    Args:
        job: the source, the target and the model.
        shards: the shards, as `BulkJob.prepare` returns them.
        cluster: where.
        workers: the number of workers of Ray; the least number of partitions of Spark.

    Raises:
        MissingExtra: Ray or Spark is not installed.
        StorageError: a worker could not encode a shard. Its error is in the message.
    """
    found = Cluster(cluster)
    if not shards:
        return iter(())
    if found is Cluster.RAY:
        return encode_on_ray(job, shards, workers)
    if found is Cluster.SPARK:
        return encode_on_spark(job, shards, workers)
    return encode_here(job, shards)


def encode_on_ray(job: BulkJob, shards: Sequence[Shard], workers: int) -> Iterator[ShardReport]:
    """Encode shards by `map_batches` with a stateful actor, which loads the model once.

    Ray starts a worker that died again, and repeats its shard.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError:
        raise MissingExtra("ray[data]", "ray", "encoding on Ray") from None
    if not ray.is_initialized():
        ray.init(
            address=os.environ.get("RAY_ADDRESS"), include_dashboard=False, log_to_driver=False
        )
    items = [{"shard": json.dumps(asdict(shard))} for shard in shards]
    reports = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
        _RayWorker,
        fn_constructor_args=(job,),
        batch_size=1,
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(size=min(workers, len(items))),
        num_cpus=1,
    )
    try:
        for row in reports.iter_rows():
            yield _report(row["report"])
    except ray.exceptions.RayError as error:
        raise StorageError(f"Ray could not encode all shards: {_last_line(error)}") from error


class _RayWorker:
    """Encodes the shards that Ray sends it."""

    def __init__(self, job: BulkJob) -> None:
        self._job = job
        _ = job.encoder  # load the model before the first shard

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return {"report": [_encoded(self._job, str(shard)) for shard in batch["shard"]]}


def encode_on_spark(job: BulkJob, shards: Sequence[Shard], workers: int) -> Iterator[ShardReport]:
    """Encode shards by `mapInPandas`, a partition for each.

    Spark repeats the task of a worker that died. Without a master of `spark-submit`, it runs on
    this machine, and tries a task four times.
    """
    try:
        from pyspark import SparkConf
        from pyspark.sql import SparkSession
    except ImportError:
        raise MissingExtra("pyspark", "spark", "encoding on Spark") from None
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    active = SparkSession.getActiveSession()
    builder = SparkSession.builder.appName("lexpand encode")
    if active is None and not SparkConf().contains("spark.master"):
        builder = builder.master(f"local[{workers},4]").config("spark.ui.enabled", "false")
    spark = active or builder.getOrCreate()
    items = [(json.dumps(asdict(shard)),) for shard in shards]
    frame = spark.createDataFrame(items, "shard string").repartition(len(items))
    try:
        reports = frame.mapInPandas(partial(_spark_worker, job), "report string").collect()
    except Exception as error:
        raise StorageError(f"Spark could not encode all shards: {_last_line(error)}") from error
    finally:
        if active is None:
            spark.stop()
    for row in reports:
        yield _report(row["report"])


def _spark_worker(job: BulkJob, frames: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Encode the shards of a partition."""
    import pandas as pd

    for frame in frames:
        yield pd.DataFrame({"report": [_encoded(job, shard) for shard in frame["shard"]]})


def _encoded(job: BulkJob, shard: str) -> str:
    plain = json.loads(shard)
    found = job.encode(Shard(**{**plain, "groups": tuple(plain["groups"])}))
    return json.dumps(asdict(found))


def _last_line(error: Exception) -> str:
    """Return the last line of an error that has the traceback of a worker in it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if "lexpand.errors." in line]
    return (named or lines or [type(error).__name__])[-1]


def _report(text: str) -> ShardReport:
    plain = json.loads(str(text))
    return ShardReport(**{**plain, "listed": tuple(plain["listed"])})
