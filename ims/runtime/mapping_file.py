"""The mapping file that the settings name; every process reads the same one."""

from ims.errors import InvalidSettingsError
from ims.runtime.settings import Settings
from ims.runtime.text_files import read_text
from ims.source.mapping import REFERENCE_MAPPING, SourceMapping, parse_mapping


def read_mapping(settings: Settings) -> SourceMapping:
    """Return the mapping of the file, or the reference schema's if no file is set.

    Raises:
        InvalidSettingsError: the file cannot be read, or is not a mapping.
    """
    if settings.mapping_file is None:
        return REFERENCE_MAPPING
    try:
        return parse_mapping(read_text(settings.mapping_file))
    except InvalidSettingsError as error:
        raise InvalidSettingsError(f"MAPPING_FILE: {error}") from None
