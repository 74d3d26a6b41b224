"""Entries of a catalogue on the wire."""

from __future__ import annotations

from blackbox_am.core.listings import (
    GeneratorListing,
    MeasureListing,
    OptimizerListing,
    OracleListing,
    PlugInListing,
)
from blackbox_am.rpc import progress
from blackbox_am.rpc.mapping import from_message, to_message
from blackbox_am.v1 import catalog_service_pb2 as pb


def plug_in_to_proto(listing: PlugInListing) -> pb.PlugInInfo:
    """An objective or a criterion as a message."""
    return to_message(listing, pb.PlugInInfo())


def plug_in_from_proto(message: pb.PlugInInfo) -> PlugInListing:
    """The objective or criterion in `message`."""
    return from_message(message, PlugInListing)


def optimizer_to_proto(listing: OptimizerListing) -> pb.OptimizerInfo:
    """An optimizer as a message."""
    return to_message(listing, pb.OptimizerInfo())


def optimizer_from_proto(message: pb.OptimizerInfo) -> OptimizerListing:
    """The optimizer in `message`."""
    return from_message(message, OptimizerListing)


def measure_to_proto(listing: MeasureListing) -> pb.MeasureInfo:
    """A measure as a message."""
    return to_message(listing, pb.MeasureInfo())


def measure_from_proto(message: pb.MeasureInfo) -> MeasureListing:
    """The measure in `message`."""
    return from_message(message, MeasureListing)


def generator_to_proto(listing: GeneratorListing) -> pb.GeneratorInfo:
    """A generator as a message."""
    return to_message(listing, pb.GeneratorInfo())


def generator_from_proto(message: pb.GeneratorInfo) -> GeneratorListing:
    """The generator in `message`."""
    return from_message(message, GeneratorListing)


def oracle_to_proto(listing: OracleListing) -> pb.OracleInfo:
    """An oracle as a message."""
    message = pb.OracleInfo(name=listing.name, problem=listing.problem)
    if listing.info is not None:
        message.description.CopyFrom(progress.oracle_to_proto(listing.name, listing.info))
    return message


def oracle_from_proto(message: pb.OracleInfo) -> OracleListing:
    """The oracle in `message`.

    Raises:
        InvalidInput: if the description is invalid. The message names the field.
    """
    info = None
    if message.HasField("description"):
        info = progress.oracle_from_proto(message.description)
    return OracleListing(message.name, info, message.problem)
