"""Orthanc's REST API: calls and their failures, routes, and answers as values."""
