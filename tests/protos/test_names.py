"""The protos keep buf's STANDARD names, and have what other languages need."""

import re
from pathlib import Path

import pytest
from google.protobuf.descriptor import FieldDescriptor

from blackbox_am.v1 import (
    catalog_service_pb2,
    error_reason_pb2,
    group_service_pb2,
    open_inference_pb2,
    oracle_service_pb2,
    study_event_pb2,
    study_pb2,
    study_service_pb2,
    tensor_pb2,
)

ROOT = Path(__file__).parents[2] / "protos"
MODULES = [
    catalog_service_pb2,
    error_reason_pb2,
    group_service_pb2,
    open_inference_pb2,
    oracle_service_pb2,
    study_event_pb2,
    study_pb2,
    study_service_pb2,
    tensor_pb2,
]
FILES = [module.DESCRIPTOR for module in MODULES]
MESSAGES = [message for file in FILES for message in file.message_types_by_name.values()]
METHODS = [
    method
    for file in FILES
    for service in file.services_by_name.values()
    for method in service.methods
]
ENUMS = [enum for file in FILES for enum in file.enum_types_by_name.values()]
OPTIONS = (
    "csharp_namespace",
    "go_package",
    "java_multiple_files",
    "java_package",
    "objc_class_prefix",
    "php_namespace",
    "ruby_package",
)


def snake(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def test_every_file_is_looked_at():
    there = sorted(f"blackbox_am/v1/{path.name}" for path in (ROOT / "blackbox_am/v1").iterdir())
    assert sorted(file.name for file in FILES) == there


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_a_file_lies_where_its_package_says_and_has_the_options_of_every_language(file):
    assert file.name.rpartition("/")[0] == file.package.replace(".", "/")
    for option in OPTIONS:
        assert getattr(file.GetOptions(), option), option


def test_requests_and_responses_are_named_after_their_method_and_are_its_own():
    for method in METHODS:
        assert method.input_type.name == f"{method.name}Request"
        assert method.output_type.name == f"{method.name}Response"
        assert method.containing_service.name.endswith("Service")


def test_no_message_is_used_by_two_methods():
    used = [t.full_name for m in METHODS for t in (m.input_type, m.output_type)]
    assert len(used) == len(set(used))


def test_values_have_the_prefix_of_their_enumeration():
    for enum in ENUMS:
        prefix = snake(enum.name).upper() + "_"
        assert enum.values[0].name == f"{prefix}UNSPECIFIED"
        assert enum.values[0].number == 0
        assert [value.name for value in enum.values if not value.name.startswith(prefix)] == []


def test_nothing_is_nested():
    for message in MESSAGES:
        nested = [t.full_name for t in message.nested_types if not t.GetOptions().map_entry]
        assert nested == []
        assert [enum.full_name for enum in message.enum_types] == []


def test_fields_are_in_snake_case():
    for field in (field for message in MESSAGES for field in message.fields):
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", field.name), field.full_name
        if field.type == FieldDescriptor.TYPE_ENUM:
            assert field.enum_type.full_name.startswith("blackbox_am.v1."), field.full_name


@pytest.mark.parametrize(
    "path",
    [
        "google/rpc/status.proto",
        "google/rpc/code.proto",
        "google/rpc/error_details.proto",
        "grpc/health/v1/health.proto",
    ],
)
def test_standard_definitions_are_there_with_their_licence(path):
    text = (ROOT / path).read_text("utf-8")
    assert "Licensed under the Apache License, Version 2.0" in text
    assert f"package {path.rpartition('/')[0].replace('/', '.')};" in text


def test_the_readme_names_every_service():
    text = (ROOT / "README.md").read_text("utf-8")
    for method in METHODS:
        assert method.containing_service.name in text
