"""Merge a template's new version into a project: three trees by git, structured files by key."""
