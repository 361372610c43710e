"""The switch from another exporter: its existing file, compared with what a target would publish.

``existing_file`` reads it, ``matching`` finds its persons and groups among the facts, ``comparison`` and
``comparison_rows`` list the differences, ``settings_search`` and ``group_templates`` look for the settings that leave
the fewest. Imports :mod:`ims.rules` and what lies below it.
"""
