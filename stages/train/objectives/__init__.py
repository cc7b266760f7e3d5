"""Objectives, one file each; `stages.core.config.plugins` finds them by file name and reads their settings."""
