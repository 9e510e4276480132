"""From a body site to the few regions by which the guides let people search for studies (MAPPING H, anatomical-region).

The guides name ten regions and no way from a body part to them. Nothing is invented: a body part is only here where it
lies in a region as a whole, or consists of parts that do (chest and abdomen: two). Vessels, which run through several,
and whatever the table does not name have no region.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from syncd.mapping.profiles.guides import Guide
from syncd.mapping.values.systems import SCT
from syncd.mapping.values.terms import Term, body_part

_HEAD_NECK = """
    3RDVENTRICLE 4THVENTRICLE BRAIN CEREBELLUM CEREBHEMISPHERE CHEEK CHOROIDPLEXUS CORNEA EAC EAR EYE EYELID FACE HEAD
    HEADNECK HYPOPHARYNX IAC INTRACRANIAL JAW LARYNX LATVENTRICLE MANDIBLE MASTOID MAXILLA MOUTH NASOPHARYNX NECK NECKCHEST
    NECKCHESTABDOMEN NECKCHESTABDPELV NOSE OPTICCANAL ORBIT PARATHYROID PAROTID PHARYNX PHARYNXLARYNX SCALP SELLA SKULL
    SUBMANDIBULAR THALAMUS THYROID TMJ TONGUE ZYGOMA
"""
_UPPER_TRUNK = """
    BRONCHUS CHEST CHESTABDOMEN CHESTABDPELVIS LUNG MEDIASTINUM NECKCHEST NECKCHESTABDOMEN NECKCHESTABDPELV PARASTERNAL RIB
    STERNUM THORAX THYMUS UPPERTRUNK
"""
_LOWER_TRUNK = """
    ABDOMEN ABDOMENPELVIS ADRENAL APPENDIX ASCENDINGCOLON BILEDUCT BLADDER CERVIX CHESTABDOMEN CHESTABDPELVIS COLON
    DESCENDINGCOLON DUODENUM GALLBLADDER ILEUM JEJUNUM KIDNEY LARGEINTESTINE LIVER LOWERTRUNK NECKCHESTABDOMEN
    NECKCHESTABDPELV OVARY PANCREAS PELVIS PELVISLOWEXTREMT PROSTATE RECTUM SIGMOID SMALLINTESTINE SPLEEN STOMACH
    TRANSVERSECOLON URETER UTERUS
"""
_UPPER_LIMB = "ELBOW FINGER FOREARM HAND HUMERUS RADIUS RADIUSULNA THUMB ULNA UPPERARM UPPERLIMB WRIST"
_LOWER_LIMB = """
    ANKLE CALCANEUS CALF FEMUR FIBULA FOOT KNEE LOWERLEG LOWERLIMB PATELLA PELVISLOWEXTREMT THIGH TIBIA TIBIAFIBULA TOE
"""
_SPINE = "COCCYX CSPINE CTSPINE LSPINE LSSPINE SPINE SSPINE TLSPINE TSPINE"
_HEART = "HEART LATRIUM LVENTRICLE RATRIUM RVENTRICLE"

_PARTS: Mapping[str, str] = {
    "774007": _HEAD_NECK,
    "67734004": _UPPER_TRUNK,
    "63337009": _LOWER_TRUNK,
    "53120007": _UPPER_LIMB,
    "61685007": _LOWER_LIMB,
    "80891009": _HEART,
    "76752008": "BREAST",
    "113257007": "CARDIOVASCSYS",
    "38266002": "WHOLEBODY",
    "": _SPINE,
}
"""Region → the body parts (keys of PS3.16 Annex L) that lie in it; the spine has another code in each guide."""

_NAMES: Mapping[str, str] = {
    "774007": "Head and Neck",
    "67734004": "Upper trunk",
    "63337009": "Lower trunk",
    "53120007": "Upper limb",
    "61685007": "Lower limb",
    "80891009": "Heart",
    "76752008": "Breast",
    "113257007": "Cardiovascular system",
    "38266002": "Entire body",
    "": "Spine",
}


def regions(sites: Iterable[Term | None], *, guide: Guide) -> tuple[Term, ...]:
    """The guide's regions in which these body sites lie, each once, in the order of the sites."""
    found = (region for site in sites if site and site.system == SCT for region in _by_code().get(site.code, ()))
    return tuple(
        Term(system=SCT, code=region or guide.spine, display=_NAMES[region], words="") for region in dict.fromkeys(found)
    )


@cache
def _by_code() -> Mapping[str, tuple[str, ...]]:
    """SNOMED CT code of a body part → regions; a region's own code is one of them."""
    found: dict[str, list[str]] = {}
    for region, parts in _PARTS.items():
        for part in parts.split():
            site = body_part(part)
            if site is None:
                raise LookupError(f"{part} is no body part of PS3.16 Annex L")
            found.setdefault(site.code, []).append(region)
    return {code: tuple(dict.fromkeys(of)) for code, of in found.items()}
