"""The wire: conversion of this package's values to protobuf messages and back. Does not import
torch.
"""
