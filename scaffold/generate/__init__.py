"""Turn a template and answers into a project on disk. The only package that imports copier."""
