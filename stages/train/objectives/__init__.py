"""Objectives, one file each; `stages.core.components` finds them by file name and reads their settings."""
