"""The room `snapshot`: DICOM values as tables, whole studies by factory, and what must hold whatever the bytes are."""
