"""The only door to Orthanc: change pages, bulk reads, inventory, capabilities."""
