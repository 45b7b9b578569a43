from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "portal"
    label = "portal"

    def ready(self) -> None:
        from portal import celery, checks  # noqa: F401 - registers the checks and wires the planner's callables

        celery.wire()
