"""The settings of a target: one importer of one owner, what is published to it, and when.

The state database has those in force; :mod:`ims.targets.written_settings` has the file that people write.
"""

import re
from string import Formatter
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from ims.targets.importer_profiles import PROFILE_KEYS, PROFILES, Importer, Profile

_NAME: Final = re.compile(r"[a-z0-9-]{1,64}")
_PATH: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_TIME: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)
_ADDRESS: Final = re.compile(r"[^@\s<>,;\"]+@[^@\s<>,;\"]+", re.ASCII)
"""What has been stored as an address; what may be written as one is stricter (:mod:`ims.targets.email_address`)."""
_RESERVED: Final = frozenset({"manifest.json", "snapshots", "deltas"})
"""The names that the feed itself uses in the target's folder."""
SOURCE_LIMIT: Final = 32
"""Characters that ``sourcedid/source`` may have (IMS Enterprise 1.1)."""

Number = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""A running number: what PostgreSQL keeps as a ``bigint``."""
Limit = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
"""How many persons, or what percentage, may be removed before the rest waits; 0: every removal needs an approval."""
_OF_PROFILE: Final[Any] = msgspec.UNSET
"""Stands for a key that was not written, until the profile's default takes its place."""


class TargetSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """What is published to one importer, and when.

    A key of :data:`~ims.targets.importer_profiles.PROFILE_KEYS` that is not written has the default of the importer's
    profile, and changes with it. Two settings are equal if their values are, written or not (:func:`written`).

    Attributes:
        name: the target's name and its folder's: at most 64 lower-case letters, digits and hyphens.
        owner: ``owner_id`` of the school owner.
        enabled: nothing is published until this is true.
        importer: whose profile applies (:mod:`ims.targets.importer_profiles`).
        snapshot_hour: whole hour (0-23) of the daily snapshot in ``time_zone``.
        time_zone: IANA name; also decides which day it is.
        importer_sync_time: when the importer reads, as ``HH:MM`` in ``time_zone``, or ``None`` if not known.
        scope: ``all``, or ``grunnskole``: only groups of that programme. It does not restrict which teachers are
            exported as persons.
        excluded_kinds: kinds of groups that are not exported.
        excluded_groups: ids of groups that are not exported.
        lead_days: how many days before its first day a group is exported.
        grace_days: how many days after its last day a group is still exported.
        org_groups: also export the owner and its schools as groups, with all persons as members of their schools.
        include_without_national_id: export persons without a valid national id under their running number.
        person_id: ``national`` or ``running``: what ``sourcedid/id`` of every person is.
        source: ``sourcedid/source``, or ``None`` for ``imsfeed@<orgnr>``.
        group_id: template of a group's ``sourcedid/id`` with ``{id}``, ``{code}``, ``{school_no}``.
        login: the first ``userid``: ``feide`` (else e-mail), ``email`` or ``none``.
        shared_login: what becomes of a person whose login another person has: ``omit`` (exported without it), or
            ``exclude`` (not exported, unless published already) if the importer creates no account without a login.
        login_reserved_days: how many days the login of a person who has left is given to no other person, since many
            importers keep the account; 0: none.
        dialect: ``ims`` (plain IMS Enterprise 1.1) or ``pifu`` (PIFU-IMS 1.3, full files).
        spell_out_markup: write ``&`` as ``og`` and ``<``, ``>`` as quotation marks, for an importer that does not
            decode entities (Moodle).
        export_path: name of a file in the target's folder that always holds the current full state, or ``None``.
        export_shape: of the file at ``export_path``: ``absent``: leavers are not in it; ``tombstones``: leavers of the
            last 30 days are in it with recstatus 3.
        duf_check: ``warn``: a DUF number with wrong check digits is valid, with a warning; ``refuse``: it is not valid.
        case_workers: e-mail addresses that get the daily mail about what is excluded.
        accept_initial: the first publication needs no approval.
        hold_hour_persons: persons that may lose their last membership in an hour; more wait for an approval, unless
            they are no more than ``hold_hour_persons_percent`` of the published persons (:mod:`ims.holds.limits`).
        hold_hour_persons_percent: see ``hold_hour_persons``; the larger of the two counts.
        hold_hour_teachers: as ``hold_hour_persons``, for teachers alone.
        hold_hour_teachers_percent: the percentage of the published teachers.
        hold_hour_id_changes: persons whose ``sourcedid/id`` may change in an hour.
        hold_day_persons: as ``hold_hour_persons``, in 24 hours.
        hold_day_persons_percent: as ``hold_hour_persons_percent``, in 24 hours.
        hold_day_teachers: as ``hold_hour_teachers``, in 24 hours.
        hold_day_teachers_percent: as ``hold_hour_teachers_percent``, in 24 hours; so are all others for a day.
        hold_hour_logins: persons whose published login may change or be taken away in an hour.
        hold_hour_memberships: memberships that are not the last and that may end in an hour by a change, not by their
            date, unless they are no more than ``hold_hour_memberships_percent`` of all.
        hold_hour_teacher_memberships: the same of teachers, and of the memberships as instructor.
        hold_hour_groups: groups that may go, or get another id, in an hour by a change, likewise.
        allow_test_numbers: accept national ids of the synthetic series.
    """

    name: str
    owner: Number
    enabled: bool = False
    importer: Importer = "none"
    snapshot_hour: Annotated[int, msgspec.Meta(ge=0, le=23)] = 2
    time_zone: str = "Europe/Oslo"
    importer_sync_time: str | None = None
    scope: Literal["all", "grunnskole"] = "all"
    excluded_kinds: tuple[str, ...] = ()
    excluded_groups: tuple[Number, ...] = ()
    lead_days: Annotated[int, msgspec.Meta(ge=0, le=366)] = 0
    grace_days: Annotated[int, msgspec.Meta(ge=0, le=366)] = 0
    org_groups: bool = _OF_PROFILE
    include_without_national_id: bool = _OF_PROFILE
    person_id: Literal["national", "running"] = _OF_PROFILE
    source: str | None = None
    group_id: str = "group-{id}"
    login: Literal["feide", "email", "none"] = _OF_PROFILE
    shared_login: Literal["omit", "exclude"] = _OF_PROFILE
    login_reserved_days: Annotated[int, msgspec.Meta(ge=0, le=3660)] = 365
    dialect: Literal["ims", "pifu"] = _OF_PROFILE
    spell_out_markup: bool = _OF_PROFILE
    export_path: str | None = None
    export_shape: Literal["absent", "tombstones"] = _OF_PROFILE
    duf_check: Literal["warn", "refuse"] = "warn"
    case_workers: tuple[str, ...] = ()
    accept_initial: bool = False
    hold_hour_persons: Limit = 10
    hold_hour_persons_percent: Limit = 10
    hold_hour_teachers: Limit = 3
    hold_hour_teachers_percent: Limit = 20
    hold_hour_id_changes: Limit = 5
    hold_day_persons: Limit = 10
    hold_day_persons_percent: Limit = 10
    hold_day_teachers: Limit = 3
    hold_day_teachers_percent: Limit = 20
    hold_day_id_changes: Limit = 5
    hold_hour_logins: Limit = 5
    hold_day_logins: Limit = 5
    hold_hour_memberships: Limit = 40
    hold_hour_memberships_percent: Limit = 20
    hold_day_memberships: Limit = 40
    hold_day_memberships_percent: Limit = 20
    hold_hour_teacher_memberships: Limit = 10
    hold_hour_teacher_memberships_percent: Limit = 20
    hold_day_teacher_memberships: Limit = 10
    hold_day_teacher_memberships_percent: Limit = 20
    hold_hour_groups: Limit = 5
    hold_hour_groups_percent: Limit = 10
    hold_day_groups: Limit = 5
    hold_day_groups_percent: Limit = 10
    allow_test_numbers: bool = False

    def __post_init__(self) -> None:
        """Take the profile's defaults for the keys that were not written, and check what the types cannot express.

        Raises:
            ValueError: names the key and what it may be; msgspec turns it into a ``ValidationError``.
        """
        self._take_defaults()
        if not _NAME.fullmatch(self.name):
            raise ValueError("`name` must be 1 to 64 lower-case letters, digits and hyphens")
        if self.source is not None and not 0 < len(self.source) <= SOURCE_LIMIT:
            raise ValueError(f"`source` must have 1 to {SOURCE_LIMIT} characters")
        if self.source is not None and not (self.source.isprintable() and self.source.strip() == self.source):
            raise ValueError("`source` must be printable characters, with no space at either end")
        if self.export_path is not None and not _PATH.fullmatch(self.export_path):
            raise ValueError("`export_path` must be a plain file name, such as Eksport.xml")
        if self.export_path is not None and self.export_path.lower() in _RESERVED:
            raise ValueError("`export_path` must not be manifest.json, snapshots or deltas, which the feed itself uses")
        if self.importer_sync_time is not None and not _TIME.fullmatch(self.importer_sync_time):
            raise ValueError("`importer_sync_time` must be a time of day, such as 03:30")
        for address in self.case_workers:
            if not _ADDRESS.fullmatch(address):
                raise ValueError("`case_workers` must be e-mail addresses, such as post@example.org")
        _check_template(self.group_id)
        try:
            ZoneInfo(self.time_zone)
        except (OSError, ValueError, ZoneInfoNotFoundError):
            raise ValueError(f"`time_zone` {self.time_zone!r} is not an IANA time zone") from None

    def _take_defaults(self) -> None:
        self.__dict__["unwritten"] = frozenset(key for key in PROFILE_KEYS if getattr(self, key) is _OF_PROFILE)
        for key in self.unwritten:
            msgspec.structs.force_setattr(self, key, self.profile.defaults[key])
        if self.profile.needs_login and self.login == "none":
            raise ValueError(f"`login` must be feide or email: {self.importer} makes no account without a login")

    @property
    def unwritten(self) -> frozenset[str]:
        """The keys whose values are the profile's defaults, because the target does not write them."""
        found: frozenset[str] = self.__dict__["unwritten"]
        return found

    @property
    def profile(self) -> Profile:
        """The importer's profile."""
        return PROFILES[self.importer]

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which the target's days and hours are counted."""
        return ZoneInfo(self.time_zone)


def _check_template(template: str) -> None:
    try:
        parts = list(Formatter().parse(template))
    except ValueError:
        raise ValueError("`group_id` has a brace that is not closed or not opened") from None
    fields = {field for _, field, _, _ in parts if field is not None}
    if any(spec or conversion for _, _, spec, conversion in parts) or not fields <= {"id", "code", "school_no"}:
        raise ValueError("`group_id` may use {id}, {code} and {school_no} only, as they stand")
    if not fields & {"id", "code"}:
        raise ValueError("`group_id` must use {id} or {code}, or all groups would have the same id")
    if not (template.isprintable() and template.strip() == template):
        raise ValueError("`group_id` must be printable characters, with no space at either end")


def source_of(settings: TargetSettings, orgnr: str | None) -> str:
    """Return ``sourcedid/source`` as the settings say: their own, or one of the owner's organisation number.

    >>> source_of(TargetSettings(name="lms", owner=1), "100000008")
    'imsfeed@100000008'
    """
    return settings.source or f"imsfeed@{orgnr}"


def written(settings: TargetSettings) -> dict[str, Any]:
    """Return the settings by key, without those that are the profile's defaults.

    >>> "login" in written(TargetSettings(name="lms", owner=1))
    False
    """
    return {key: value for key, value in msgspec.to_builtins(settings).items() if key not in settings.unwritten}
