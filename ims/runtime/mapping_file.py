"""The mapping file that the settings name; capture and materialize must read the same one."""

from ims.errors import InvalidSettingsError
from ims.runtime.settings import Settings
from ims.source.mapping import REFERENCE_MAPPING, SourceMapping, parse_mapping


def read_mapping(settings: Settings) -> SourceMapping:
    """Return the mapping of the file, or the reference schema's if no file is set.

    Raises:
        InvalidSettingsError: the file cannot be read, or is not a mapping.
    """
    if settings.mapping_file is None:
        return REFERENCE_MAPPING
    try:
        return parse_mapping(settings.mapping_file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettingsError(f"MAPPING_FILE cannot be read: {type(error).__name__}") from None
