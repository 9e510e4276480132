"""The rows of Provenance, of the Device that stands for syncd in it, and of a Patient that gave way (MAPPING J.2, J.5)."""

from __future__ import annotations

from scripts.mapping_page.row import row

REPLACED_PATIENT = (
    row(
        "Patient.active",
        said="active boolean",
        rule="Only false, on ours, once another writer's Patient with exactly this identifier is there.",
        clause="RULES B4",
    ),
    row(
        "Patient.link",
        said="link BackboneElement*",
        rule="With `active` only: to the other Patient, to which the subjects of our studies move.",
        clause="RULES B4",
    ),
    row("Patient.link.other", said="link.other Reference", rule="The other Patient.", clause="RULES B4"),
    row("Patient.link.type", said="link.type code", rule="`replaced-by`; in DSTU2 `replace`.", clause="RULES B4"),
)

PROVENANCE = (
    row(
        "Provenance.id",
        said="id id",
        dstu2="",
        rule="`prov-` and a digest of the ImagingStudy's id and content: a retry writes the same resource.",
        clause="J.5",
    ),
    row("Provenance.meta.source", said="meta.source uri", dstu2="", rule="Always `urn:syncd`.", clause="RULES B2"),
    row(
        "Provenance.meta.tag",
        said="meta.tag Coding*",
        dstu2="",
        rule="`SYNCD_INSTALLATION_ID` under `urn:syncd:installation`.",
        clause="RULES B2",
    ),
    row(
        "Provenance.target",
        said="target Reference*",
        dstu2="",
        rule="The ImagingStudy in the version that was written; HAPI takes the version away.",
        clause="J.5",
    ),
    row(
        "Provenance.recorded",
        said="recorded instant",
        dstu2="",
        rule="When the write was intended, in UTC: a retry finds the same time.",
        clause="J.5",
    ),
    row(
        "Provenance.activity",
        said="activity CodeableConcept",
        dstu2="",
        rule="`CREATE`, `UPDATE`, or `DELETE` where the study was withdrawn, of v3-DataOperation; from R5 on `originate`,"
        " `amend`, `deprecate` of iso-21089-lifecycle.",
        clause="J.5",
    ),
    row("Provenance.agent", said="agent BackboneElement*", dstu2="", rule="Two: syncd, and the archive.", clause="J.5"),
    row(
        "Provenance.agent.type",
        said="agent.type CodeableConcept",
        dstu2="",
        rule="`assembler` for syncd, `author` for the archive.",
        clause="J.5",
    ),
    row(
        "Provenance.agent.who",
        said="agent.who Reference",
        dstu2="",
        rule="syncd's Device, in words where the server keeps none or holds another writer's at this id; the archive's name"
        " in words.",
        clause="J.5",
    ),
    row("Provenance.entity", said="entity BackboneElement*", dstu2="", rule="The DICOM study behind it.", clause="J.5"),
    row(
        "Provenance.entity.role",
        said="entity.role code",
        dstu2="",
        rule="`source`; `removal` where the study was withdrawn.",
        clause="J.5",
    ),
    row(
        "Provenance.entity.what",
        said="entity.what Reference",
        dstu2="",
        rule="The StudyInstanceUID as a logical reference; of a study that rejects another one as a wrong worklist entry,"
        " that other study.",
        clause="J.5, I-39",
    ),
)
