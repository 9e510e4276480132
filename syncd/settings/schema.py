"""Every setting, with its unit, its default and why (docs/settings.md).

The docstring below a field is what an operator reads in `config/syncd.toml` and `docs/settings.md`, which are generated
from here. A field exists only once it works. Constructing these models reads nothing: only `syncd.settings.load` does,
and it checks besides what no single value can tell (`syncd.settings.contradictions`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr

from syncd.settings.selecting import CharacterSet, HistoryText, Rate, Rules, WindowText
from syncd.settings.values import (
    BadValue,
    Bind,
    ClientName,
    DicomWebUrl,
    Duration,
    EndpointUrl,
    Headers,
    Issuers,
    KeyText,
    LedgerUrl,
    Oid,
    ReadableFile,
    Scope,
    Secret,
    ServiceUrl,
    SystemUri,
    TimeZone,
    Token,
    TokenFile,
    UserName,
    bind_address,
    lower_case,
)

DEFAULT_LEDGER = "ledger.db in $STATE_DIRECTORY, else in /var/lib/syncd if writable, else in ~/.local/state/syncd"


def _truth(given: object) -> object:
    """A word, or TOML's own true and false."""
    return str(given).lower() if isinstance(given, bool) else lower_case(given)


def _code(text: str) -> str:
    if len(text) > 64 or not text.isascii() or not text.replace("-", "").replace(".", "").replace("_", "").isalnum():
        raise BadValue("is no code", "use at most 64 letters, digits, '-', '.' and '_'")
    return text


def _prefix(text: str) -> str:
    if len(text) > 14:
        raise BadValue("is longer than 14 characters", "an Endpoint id has room for no more")
    if not text.isascii() or not text.replace("-", "").replace(".", "").isalnum():
        raise BadValue("cannot be part of a FHIR id", "use letters, digits, '-' and '.'")
    return text


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)


ClientAuth = Annotated[Literal["auto", "basic", "post"], BeforeValidator(lower_case)]


class ArchiveAuthSettings(_Block):
    """How syncd proves to the archive, or the gateway before it, who it is, beyond user name, password and token."""

    kind: Annotated[Literal["none", "basic", "bearer", "oauth2"], BeforeValidator(lower_case)] | None = Field(
        default=None, json_schema_extra={"default_text": "by what else is set"}
    )
    """How to authenticate. Unset: `basic` with `username`, `bearer` with `token` or `token_file`, else `none`. `oauth2`
    means client credentials: it needs `token_url`, `client_id` and `client_secret`."""
    token_file: TokenFile | None = None
    """File of the token for `bearer`, which another program renews; read again when it changes."""
    token_url: EndpointUrl | None = Field(default=None, examples=["https://login.example.org/token"])
    """Token endpoint of the authorization server, for `oauth2`."""
    client_id: ClientName | None = None
    """The name under which syncd is registered at the authorization server, for `oauth2`."""
    client_secret: Secret | None = None
    """The client's secret, for `oauth2`. Better in a secret file than here."""
    client_auth: ClientAuth = "auto"
    """Where the secret is sent: in the header (`basic`) or in the form (`post`); `auto`: in the header."""
    scope: Scope | None = None
    """Scopes to ask for, for `oauth2`; unset: none are named, and the server gives what it gives."""
    audience: ClientName | None = None
    """For whom the token shall be, where the authorization server must be told; sent as `audience`, an address as `resource`
    too."""


class ArchiveSettings(_Block):
    """One Orthanc archive."""

    url: ServiceUrl = Field(examples=["http://127.0.0.1:8042"])
    """Orthanc's REST address. Required."""
    username: UserName | None = None
    """User name for Orthanc's basic authentication; needs `password`."""
    password: Secret | None = None
    """Password for `username`. Better in a secret file than here."""
    token: Token | None = None
    """Bearer token, instead of user name and password, for an Orthanc behind a proxy that asks for one."""
    ca_file: ReadableFile | None = None
    """PEM file of the authorities that may have signed the server's certificate; unset: the system's."""
    client_cert: ReadableFile | None = None
    """PEM file of the certificate that syncd shows; needs `client_key`."""
    client_key: ReadableFile | None = None
    """PEM file of the key of `client_cert`."""
    verify_tls: bool = True
    """Whether the server's certificate is verified. Anybody on the way can read everything without."""
    public_dicomweb_url: DicomWebUrl | None = None
    """Address at which others reach the archive's DICOMweb: it is published as the WADO-RS Endpoint. Unset: `url` and the
    server's DICOMweb root, which is right only where everybody may use the same address as syncd; `check` warns."""
    wado_uri_url: ServiceUrl | None = None
    """Address of WADO-URI, published as a further Endpoint; unset: none."""
    qido_url: DicomWebUrl | None = None
    """Address of QIDO-RS, published as a further Endpoint; unset: none."""
    viewer_url: ServiceUrl | None = None
    """Address of a viewer, published as a further Endpoint; unset: none."""
    timeout: Duration = Field(default=30.0, ge=1, le=3600)
    """How long one read may take: the pause before an answer begins, and each one within it. A request as a whole may take
    ten times as long, as large answers do."""
    poll_interval: Duration = Field(default=1.0, ge=0.1, le=3600)
    """How often the change feed is asked. One small request; every second keeps FHIR about a second behind."""
    settle_after: Duration = Field(default=30.0, ge=0.1, le=3600)
    """How often a study that still receives images, without events, is asked again whether it is complete."""
    timezone: TimeZone | None = None
    """Time zone of the times in studies that do not name theirs (0008,0201). Unset: their dates only are published,
    because a FHIR time needs a zone and a guessed one would be wrong."""
    patient_id_system: SystemUri | None = None
    """Identifier system of PatientIDs without an issuer. Unset: Patients are never searched by them; nothing is
    invented."""
    accession_system: SystemUri | None = None
    """Identifier system of accession numbers without an issuer. Unset: they are published without a system."""
    study_id_system: SystemUri | None = None
    """Identifier system of the Study ID (0020,0010). Unset: it is not published, for it means nothing elsewhere."""
    issuers: Issuers = Field(default_factory=dict)
    """Issuer name, as it stands in the images, and its identifier system."""
    other_patient_ids_system: SystemUri | None = None
    """Identifier system of Other Patient IDs in the form that DICOM has retired (0010,1000), which names no issuer. Unset:
    they are not published, for nobody says whose they are."""
    retrieve_location_uid: Oid | None = Field(default=None, examples=["2.999.1.4"])
    """The archive's OID as the partners of an exchange know it, for the Endpoint that `policy.profile` `mado` wants. Unset:
    that Endpoint stays without, and each study is noted."""
    include: Rules = ()
    """Only studies that fit one of these rules are published; none: all. A rule is `key=pattern`; keys are `modality`,
    `station` (0008,1010), `aet` (who sent it), `label` (Orthanc 1.12), or any DICOM keyword, such as `PatientID`. Patterns
    are `*`, `?` and `[…]` over the whole value, without regard to case. One of the study's values is enough, and one
    image of each series is looked at."""
    exclude: Rules = ()
    """Studies that fit one of these rules are not published, such as those of test patients; written as `include`, which it
    overrules. A study with a single SR series is excluded by `modality=SR`. A study that still arrives is judged by the
    series that are there."""
    history: HistoryText = "all"
    """What the first import takes of what the archive holds already: `all`, studies `since:2020-01-31` by their StudyDate
    (those without a date too), or `none`. What arrives later is published however old it is, and so is an old study that
    changes. Another value lists the archive again."""
    auth: ArchiveAuthSettings = Field(default_factory=ArchiveAuthSettings)

    @property
    def auth_kind(self) -> str:
        """How syncd authenticates to it."""
        by_token = "bearer" if self.token or self.auth.token_file else ""
        return self.auth.kind or by_token or ("basic" if self.username else "none")


class AuthSettings(_Block):
    """How syncd proves to the FHIR server who it is."""

    kind: Annotated[Literal["none", "basic", "bearer", "oauth2", "smart"], BeforeValidator(lower_case)] | None = Field(
        default=None, json_schema_extra={"default_text": "by what else is set"}
    )
    """How to authenticate. `basic` needs `username` and `password`, `bearer` needs `token` or `token_file`; `oauth2` means
    client credentials, with `client_id` and `client_secret`; `smart` means SMART Backend Services, with `client_id` and
    `private_key_file`. Unset: `bearer` where a token is given, else `none`. A client certificate goes with any of them."""
    username: UserName | None = None
    """User name for `basic`."""
    password: Secret | None = None
    """Password for `basic`. Better in a secret file than here."""
    token: Token | None = None
    """Token for `bearer`. Better in a file than here."""
    token_file: TokenFile | None = None
    """File of the token for `bearer`, which another program renews; read again when it changes."""
    token_url: EndpointUrl | None = Field(default=None, examples=["https://login.example.org/token"])
    """Token endpoint, for `oauth2` and `smart`. Unset: what the FHIR server says in `.well-known/smart-configuration`."""
    client_id: ClientName | None = None
    """The name under which syncd is registered at the authorization server, for `oauth2` and `smart`."""
    client_secret: Secret | None = None
    """The client's secret, for `oauth2`. Better in a secret file than here."""
    client_auth: ClientAuth = "auto"
    """Where the secret is sent: in the header (`basic`) or in the form (`post`); `auto`: as the FHIR server's
    `.well-known/smart-configuration` says, else in the header."""
    private_key: KeyText | None = None
    """The private key for `smart` as a text, where no file can be had: a JWK Set, a JWK or PEM."""
    private_key_file: ReadableFile | None = None
    """File of the private key for `smart`, as `syncd keys new` makes it (a JWK Set), or PEM; read again for each token. Its
    first key signs: RS384 for RSA, ES384 for an EC key on P-384."""
    key_id: ClientName | None = None
    """`kid` of the key that signs, where it is not the first one, or of a PEM file. Unset: the key's own, else its
    thumbprint."""
    scope: Scope | None = None
    """Scopes to ask for. Unset: for `smart`, system scopes for just the resources that these settings read and write, in the
    words of SMART 2, or of SMART 1 where the server knows no other; for `oauth2`, none."""
    audience: ClientName | None = None
    """For `smart`: whom the signed assertion is for, where a server wants another than the token endpoint, as its issuer.
    For `oauth2`: whom the token shall be for, where the server must be told; sent as `audience`, an address as `resource`
    too."""

    @property
    def chosen_kind(self) -> str:
        """How syncd authenticates."""
        return self.kind or ("bearer" if self.token or self.token_file else "none")


class FhirSettings(_Block):
    """The FHIR server."""

    url: ServiceUrl = Field(examples=["http://127.0.0.1:8080/fhir"])
    """Base URL of the FHIR server. Required."""
    version: Annotated[Literal["auto", "dstu2", "r4", "r4b", "r5", "r6"], BeforeValidator(lower_case)] = "auto"
    """FHIR version to write. `auto` takes what the server says; a named one that it does not speak is refused."""
    ids: Annotated[Literal["auto", "client", "server"], BeforeValidator(lower_case)] = "auto"
    """Who names our resources. `client`: syncd, by ids that follow from what they are; `server`: the server, by ids that the
    ledger keeps; `auto`: syncd, unless the server says or shows that it refuses such ids. DSTU2: by syncd only."""
    writes: Annotated[Literal["auto", "single", "transaction"], BeforeValidator(lower_case)] = "auto"
    """How resources are written. `auto`: each by a request of its own, and a backlog's small studies up to 40 in one
    transaction, where the server proves that it heeds the conditions of its entries; one that is refused goes on singly.
    `single`: never in a transaction. `transaction`: as `auto`, and what goes by itself is a transaction of one, for servers
    that take nothing else."""
    ca_file: ReadableFile | None = None
    """PEM file of the authorities that may have signed the server's certificate; unset: the system's."""
    client_cert: ReadableFile | None = None
    """PEM file of the certificate that syncd shows; needs `client_key`."""
    client_key: ReadableFile | None = None
    """PEM file of the key of `client_cert`."""
    verify_tls: bool = True
    """Whether the server's certificate is verified. Anybody on the way can read everything without."""
    headers: Headers = Field(default_factory=dict)
    """Further request headers, such as a tenant or an API key. Their values are treated as secrets."""
    concurrency: int = Field(default=4, ge=1, le=64)
    """How many studies are worked on, and how many requests the server gets, at once. No more than 4 to begin with; then one
    more while its answers come as fast as ever, and half as many where it asks for patience (429, 503). More than 4 brings
    little with one HAPI on a small machine."""
    timeout: Duration = Field(default=60.0, ge=1, le=3600)
    """How long one read may take: the pause before an answer begins, and each one within it; a request as a whole at most
    ten times as long. A large study takes a FHIR server many seconds to store."""
    auth: AuthSettings = Field(default_factory=AuthSettings)


class LedgerSettings(_Block):
    """What syncd has done so far."""

    url: LedgerUrl = Field(default="", json_schema_extra={"default_text": DEFAULT_LEDGER})
    """The ledger: a file (`sqlite:////path`), which must be on a local disk because file locks do not hold on network file
    systems; or a PostgreSQL database, 15 or newer, of its own (`postgresql://user:password@host:5432/database`, libpq's
    options such as `sslmode` after a `?`). With a password it is a secret: better in a secret file than here."""

    @property
    def place(self) -> str:
        """The file, or the address without its password: for people to read."""
        return str(self.url).removeprefix("sqlite:///")


class PolicySettings(_Block):
    """What the site decides."""

    patient: Annotated[Literal["create", "match", "logical"], BeforeValidator(lower_case)] = "create"
    """Whom `subject` names. `create`: the server's Patient with exactly this identifier, else one of ours; `match`: that
    Patient, else a logical reference; `logical`: always a logical reference, for servers that keep no Patients."""
    bad_uid: Annotated[Literal["park", "verbatim"], BeforeValidator(lower_case)] = "park"
    """A study whose StudyInstanceUID is no UID: `park` sets it aside, `verbatim` publishes it under an id derived from
    it."""
    adopt: Annotated[Literal["registered", "always", "never"], BeforeValidator(lower_case)] = "registered"
    """Whether another program's ImagingStudy of the same study may become ours, so that there is one and not two.
    `registered`: one that only announces the study, without series and for the same patient, as a RIS writes it;
    `always`: any; `never`: none. Others are parked `foreign-imagingstudy`. What was adopted keeps its id and its own
    elements, and is never deleted."""
    endpoint_prefix: Annotated[str, AfterValidator(_prefix)] | None = Field(default=None, examples=["siteb-"])
    """Put before our Endpoint ids, where several syncd share a FHIR server. At most 14 characters."""
    max_instances: int = Field(default=10_000, ge=1, le=1_000_000)
    """Above so many instances, a study is published with series and counts only, because servers refuse huge
    resources."""
    modality_scope: Annotated[Literal["all", "acquisition"], BeforeValidator(lower_case)] = "all"
    """Modalities named for the study: `all` of its series, or only those that acquire images (DICOM CID 29)."""
    rejected_quality: Annotated[Literal["hide", "keep"], BeforeValidator(lower_case)] = "hide"
    """Images rejected for quality reasons (key object title 113001): `hide` leaves them out, `keep` publishes them."""
    values: Annotated[Literal["lenient", "safe", "strict"], BeforeValidator(lower_case)] = "lenient"
    """Values that break DICOM's rules, contradict each other or that FHIR cannot carry: `lenient` leaves them out or mends
    them and publishes the study; `safe` parks it where they leave in doubt who the patient is, a side, a body region or an
    order; `strict` parks it for any. `syncd render --notes` tells what a study has of them, `syncd audit --notes` which
    published studies are in such doubt."""
    practitioner_from_name: Annotated[Literal["display", "resource"], BeforeValidator(lower_case)] = "display"
    """Referrer, performers, operators and readers: `display` names them in the ImagingStudy, `resource` also writes a
    Practitioner for each who has an identifier with a system ((0040,1101)). A name alone never makes one, because two
    people may have it."""
    write_devices: bool = False
    """Writes a Device for the equipment of each series that can be told from others (device UID, or manufacturer, model and
    serial number), and names it among the series' performers. Off, because inventories usually own Devices."""
    write_procedures: bool = False
    """Writes a Procedure for each performed procedure step, or for the study where it only has procedure codes, and
    refers to it. Off, because clinical systems usually own Procedures."""
    body_structure: bool = False
    """Writes a BodyStructure for each body site whose side is known, and refers to it. Only FHIR R5 and R6 can."""
    on_delete: Annotated[Literal["cancelled", "entered-in-error", "delete", "keep"], BeforeValidator(lower_case)] = (
        "cancelled"
    )
    """What becomes of a published study that is not in the archive any more. `cancelled` (in R6: `inactive`): it stays as
    identifiers, patient and that status, because real work took place; `entered-in-error`: the same, as something that
    never should have been; `delete`: the resource is deleted, unless it was somebody else's at first or something refers
    to it; `keep`: it stays as it is. More than ten studies, or a tenth of the archive's, in 24 hours wait for your word."""
    provenance: Annotated[Literal["corrections", "off", "all"], BeforeValidator(lower_case)] = "corrections"
    """What leaves a Provenance beside the ImagingStudy: `corrections` (another patient, a study that replaces or is
    withdrawn), `all` (every write), or nothing. A FHIR server may refuse to delete what a Provenance names."""
    service_request: Annotated[Literal["logical", "match"], BeforeValidator(lower_case)] = "logical"
    """Whom `basedOn` names. `logical`: the order's identifier; `match`: also the server's ServiceRequest with exactly
    this identifier, where there is one. Only identifiers with a system are looked for: see `accession_system`."""
    profile: Annotated[Literal["eu", "mado"], BeforeValidator(lower_case)] | None = Field(default=None, examples=["mado"])
    """Implementation guide whose demands are filled where the images allow it: `eu` (HL7 Europe Imaging, FHIR R4 and R5) or
    `mado` (IHE MADO, R4). Every study then claims it in `meta.profile`; `syncd render --notes` tells what a study lacks.
    Unset: none. See docs/profiles.md."""
    accession_in_identifier: Annotated[Literal["auto", "true", "false"], BeforeValidator(_truth)] = "auto"
    """Whether an accession number is an identifier of the study too, beside naming the order in `basedOn`. `auto`: in R4 and
    R4B it is, because clients search it there; from R5 on it is not, because it is the order's."""
    repair_utf8: bool = True
    """Whether text that has the form of UTF-8 but declares no character set, Latin-1 or an unknown one is read as UTF-8
    (`Müller`, where an archive shows `MÃ¼ller`). It is noted either way; otherwise it is left out."""
    undeclared_charset: CharacterSet | None = None
    """Character set of images that declare none, as (0008,0005) would say it. Unset: the standard's default repertoire,
    which is ASCII; other text is left out and noted, for nobody can tell in which set it was written."""
    title_from_image_type: bool = False
    """Whether images are titled by their Image Type (`ORIGINAL\\PRIMARY\\AXIAL`). Orthanc gives it of every image only if
    ImageType is one of its ExtraMainDicomTags for instances (1.11 and later); else one image per series has a title."""
    map_retired: bool = False
    """Whether a modality that DICOM has retired is published as the one that replaced it (DS as XA, ST as NM, …)."""
    site_modality_system: SystemUri | None = None
    """Code system of modalities that DICOM does not define. Unset: such a modality is published in words, without a
    code."""
    list_manifest: bool = True
    """Whether an archive's manifests (key objects titled 113030, 113031 or MADOTEMP001) are listed like other key objects;
    a study of nothing else keeps them."""
    sopclass_style: Annotated[Literal["urn", "jp"], BeforeValidator(lower_case)] = "urn"
    """How R4, R4B and R5 write an SOP class: `urn` as FHIR has it (`urn:oid:1.2…`), `jp` as JP Core Radiology has it,
    whose code system a server that validates must know."""
    on_deselect: Annotated[Literal["keep", "entered-in-error", "delete"], BeforeValidator(lower_case)] = "keep"
    """What becomes of a published study that `include` and `exclude` do not select any more: `keep` leaves it and keeps it
    up to date, because something may refer to it; `entered-in-error` withdraws it; `delete` removes it. The brake holds
    for both."""
    backfill_rate: Rate = Field(default=None, json_schema_extra={"default_text": "unlimited"})
    """How many old studies per second are begun by `syncd run`: those of a first import, and all of them after a change of
    settings. What arrives does not wait for it."""
    backfill_window: WindowText = "always"
    """Hours of the day in which old studies are worked on by `syncd run`, in this machine's own time zone. What arrives is
    published at any hour."""
    rerender: Annotated[Literal["auto", "hold"], BeforeValidator(lower_case)] = "auto"
    """What becomes of published studies that an earlier version or other settings rendered. `auto`: all are rendered again,
    as old studies (see `backfill_rate`), and what differs is written; `hold`: each stays as it is until it changes in the
    archive or is looked at for another reason, such as `syncd resync`, whose `--since` and `--study` let a part go. `syncd
    check` tells how many they are and what would change."""
    sweep_interval: Duration = Field(default=900.0, ge=1, le=86_400)
    """How often the archive's whole inventory is compared, to find what the change feed did not tell."""
    verify_interval: Duration = Field(default=86_400.0, ge=1, le=2_592_000)
    """How often all of syncd's ImagingStudies on the FHIR server are listed and compared, to find what was deleted, edited
    or restored there. A listing costs a server about a second per 1,000; one is made at once when a study turns out to be
    missing."""


class WebSettings(_Block):
    """Health, metrics and the status as JSON."""

    bind: Bind = "127.0.0.1:8053"
    """Address and port to listen on; port 0 takes a free one. Another address than loopback needs a token."""
    token: Token | None = None
    """Token that `/api/` asks for, sent as `Authorization: Bearer …`. Health and metrics never ask for it."""
    token_file: TokenFile | None = None
    """File of that token, in place of `token`; read again when it changes, so that it is replaced without a restart."""

    @property
    def host(self) -> str:
        """The address to listen on."""
        return bind_address(self.bind)[0]

    @property
    def port(self) -> int:
        """The port to listen on; 0 for any free one."""
        return bind_address(self.bind)[1]


class LogSettings(_Block):
    """What is said while running, on standard error."""

    level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(lower_case)] = "info"
    """The least important level that is written. `info` has one line for every decision."""
    format: Annotated[Literal["auto", "console", "json"], BeforeValidator(lower_case)] = "auto"
    """`console` for people, `json` for machines (one object a line); `auto`: by whether it is a terminal."""


class Settings(_Block):
    """All settings of one syncd. Made by `syncd.settings.load`; constructing it reads no environment."""

    installation_id: Annotated[str, AfterValidator(_code)] = "syncd"
    """Code of the tag on everything that syncd writes. Set it where several syncd share a FHIR server."""
    archives: dict[str, ArchiveSettings]
    fhir: FhirSettings
    ledger: LedgerSettings = Field(default_factory=LedgerSettings)
    policy: PolicySettings = Field(default_factory=PolicySettings)
    web: WebSettings = Field(default_factory=WebSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    _origins: Mapping[tuple[str, ...], str] = PrivateAttr(default_factory=dict)

    @property
    def origins(self) -> Mapping[tuple[str, ...], str]:
        """Where each value that is no default came from, by path: `("fhir", "url")` → `environment`."""
        return self._origins
