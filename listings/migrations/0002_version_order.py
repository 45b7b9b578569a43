"""Versions sort by bytes. PostgreSQL would else sort by the database's language, which passes over punctuation."""

from django.db import migrations


def sort_by_bytes(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute('ALTER TABLE listings_version ALTER COLUMN number_key TYPE varchar(200) COLLATE "C"')


class Migration(migrations.Migration):
    dependencies = [("listings", "0001_initial")]
    operations = [migrations.RunPython(sort_by_bytes, migrations.RunPython.noop)]
