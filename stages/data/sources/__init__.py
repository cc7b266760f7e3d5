"""Sources, one file each; `stages.core.config.plugins` finds them by file name and reads their settings.

A source's function takes a folder, and settings by keyword, and returns a DataSet of undecoded records; one whose
images come with a library takes no folder. ARCHIVES in its file are downloaded where a config names no folder, and
KNOWN tells what a config is checked by before a file is read (stages.core.config.known). LAYOUTS tells what a preflight
looks for in a user's folder, and in NESTED below it: patterns of names and what such files begin like
(workflow.preflight.formats), all of one of the layouts.
"""
