"""DICOM values cleaned one by one: texts, dates, names, codes, numbers (PS3.5)."""
