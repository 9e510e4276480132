"""Orthanc's REST API: calls, their bounds and failures, routes, and answers as values."""
