"""What may differ between the images of one series, and is therefore said of the series only where they agree (RULES B9).

By PS3.3 C.7.3.1 most of it is one per series; real files are not made by the standard. What names a side or a region is said
per image in many IODs (PS3.3 C.8.11.2, C.7.6.16.2.8, 10.5), so there each image must name it.
"""

from __future__ import annotations

from syncd.model.snapshot import SERIES_TAGS, STUDY_TAGS

LATERALITY = "0020,0060"
IMAGE_LATERALITY = "0020,0062"
BODY_PART = "0018,0015"
ANATOMIC_REGION = "0008,2218"
FRAME_ANATOMY = "0020,9071"
FRAME_LATERALITY = "0020,9072"
SHARED_GROUPS = "5200,9229"
PER_FRAME_GROUPS = "5200,9230"

OFFSET = "0008,0201"

PATIENT = ("0010,0010", "0010,0020", "0010,0021", "0010,0030", "0010,0040")
"""PatientName, PatientID and its issuer, birth date, sex."""

QUALIFIERS = "0010,0024"
"""Issuer of Patient ID Qualifiers Sequence, which says more of the issuer."""

PEOPLE = ("0008,1052", "0008,1072")
"""Performing Physician and Operator Identification Sequence."""

OF_STUDY = ("0008,0096", "0008,1041", "0008,1062", "0038,0014")
"""Who the referrer and the readers are, what kind the department is, who issued the admission's number."""

PLAIN = (*PATIENT, *STUDY_TAGS, *SERIES_TAGS, IMAGE_LATERALITY)
"""What a list of shared values can tell: everything but sequences."""

LISTED = (
    "0008,0051",  # Issuer of Accession Number
    "0008,1032",  # Procedure Code
    "0010,1000", "0010,1002",  # Other Patient IDs
    "0040,0026", "0040,0027", "0040,2016", "0040,2017",  # Placer and Filler Order Number, and their issuers
    "0040,0275", "0040,a370",  # Request Attributes, Referenced Request
    "0040,1002", "0040,100a",  # Reason for the Requested Procedure
)  # fmt: skip
"""What is never left out for a difference: a study says all that any image adds to these lists."""

COMPARED = (*PLAIN, ANATOMIC_REGION, SHARED_GROUPS, PER_FRAME_GROUPS, QUALIFIERS, *PEOPLE, *OF_STUDY)
"""All that is compared, image by image."""
