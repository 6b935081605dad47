"""Updates of templates that others wrote, made by copier and by scaffold, and compared."""
