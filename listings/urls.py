"""The domain's addresses. Every view declares its permission with ``access.guarded``."""

from __future__ import annotations

from django.urls import include, path

from listings.views import (
    attempts,
    audit,
    credentials,
    health,
    home,
    invitations,
    listings,
    notices,
    policies,
    releases,
    reports,
    review,
    runs,
    sources,
    teams,
    uploads,
    versions,
    waivers,
    webhooks,
)  # fmt: skip

_run = [
    path("", versions.run, name="run"),
    path("cancel/", runs.cancel, name="run_cancel"),
    path("report/", runs.report, name="run_report"),
    path("twin/", reports.report, name="run_twin"),
    path("twin.json", reports.report_json, name="run_twin_json"),
    path("compare/", reports.comparison, name="run_compare"),
    path("compare.json", reports.comparison_json, name="run_compare_json"),
    path("steps/<str:step>/retry/", runs.retry, name="step_retry"),
]

_version = [
    path("", versions.version, name="version"),
    path("submit/", versions.submit, name="version_submit"),
    path("delete/", versions.delete, name="version_delete"),
    path("run/", runs.again, name="run_again"),
    path("release/", releases.request_release, name="release_request"),
    path("waivers/ask/", waivers.ask, name="waiver_ask"),
    path("runs/<int:run>/", include(_run)),
]

_credential = [
    path("", credentials.credential, name="credential"),
    path("rotate/", credentials.rotate, name="credential_rotate"),
    path("known-hosts/", credentials.known_hosts, name="credential_known_hosts"),
    path("delete/", credentials.delete, name="credential_delete"),
]

_webhook = [
    path("", webhooks.webhook, name="webhook"),
    path("edit/", webhooks.edit, name="webhook_edit"),
    path("enable/", webhooks.enable, name="webhook_enable"),
    path("disable/", webhooks.disable, name="webhook_disable"),
    path("rotate/", webhooks.rotate, name="webhook_rotate"),
    path("end-previous/", webhooks.end_previous, name="webhook_end_previous"),
    path("delete/", webhooks.delete, name="webhook_delete"),
    path("test/", webhooks.test, name="webhook_test"),
    path("deliveries/<uuid:delivery>/", webhooks.delivery, name="delivery"),
    path("deliveries/<uuid:delivery>/replay/", webhooks.replay, name="delivery_replay"),
]

_listing = [
    path("", listings.listing, name="listing"),
    path("edit/", listings.edit, name="listing_edit"),
    path("archive/", listings.archive, name="listing_archive"),
    path("restore/", listings.restore, name="listing_restore"),
    path("source/", sources.source, name="listing_source"),
    path("source/save/", sources.save, name="listing_source_save"),
    path("source/remove/", sources.remove, name="listing_source_remove"),
    path("webhooks/", webhooks.index, name="webhooks"),
    path("webhooks/new/", webhooks.new, name="webhook_new"),
    path("webhooks/<uuid:webhook>/", include(_webhook)),
    path("versions/new/", versions.new, name="version_new"),
    path("versions/new/spec.yaml", versions.spec_file, name="version_spec"),
    path("versions/<str:number>/", include(_version)),
]

_team = [
    path("", home.team_home, name="team_home"),
    path("listings/", listings.index, name="listings"),
    path("listings/new/", listings.new, name="listing_new"),
    path("listings/<slug:listing>/", include(_listing)),
    path("uploads/", uploads.upload, name="upload"),
    path("uploads/tus/", uploads.tus, name="tus"),
    path("uploads/tus/<uuid:incoming>/", uploads.tus_file, name="tus_file"),
    path("uploads/tus/<uuid:incoming>/finish/", uploads.tus_finish, name="tus_finish"),
    path("releases/", releases.index, name="releases"),
    path("releases/<uuid:release>/", releases.release, name="release"),
    path("releases/<uuid:release>/comment/", releases.comment, name="release_comment"),
    path("releases/<uuid:release>/resubmit/", releases.resubmit, name="release_resubmit"),
    path("releases/<uuid:release>/withdraw/", releases.withdraw, name="release_withdraw"),
    path("waivers/", waivers.index, name="waivers"),
    path("attempts/<uuid:attempt>/log.txt", attempts.log, name="attempt_log"),
    path("attempts/<uuid:attempt>/lines.json", attempts.lines, name="attempt_lines"),
    path("attempts/<uuid:attempt>/search.json", attempts.search, name="attempt_search"),
    path("live/<uuid:owner>/ticket.json", attempts.ticket, name="live_ticket"),
    path("members/", teams.team, name="team"),
    path("members/add/", invitations.invite, name="member_add"),
    path("members/invitations/<uuid:invitation>/resend/", invitations.resend, name="invitation_resend"),
    path("members/invitations/<uuid:invitation>/revoke/", invitations.revoke, name="invitation_revoke"),
    path("members/<uuid:member>/role/", teams.change_role, name="member_role"),
    path("members/<uuid:member>/remove/", teams.remove, name="member_remove"),
    path("aws/", teams.aws, name="team_aws"),
    path("credentials/", credentials.index, name="credentials"),
    path("credentials/new/", credentials.new, name="credential_new"),
    path("credentials/<uuid:credential>/", include(_credential)),
]

_review = [
    path("", review.index, name="review"),
    path("releases/<uuid:release>/approve/", review.approve, name="review_approve"),
    path("releases/<uuid:release>/changes/", review.ask_for_changes, name="review_changes"),
    path("releases/<uuid:release>/resume/", review.resume, name="review_resume"),
    path("releases/<uuid:release>/publish/", review.publish, name="review_publish"),
    path("waivers/<uuid:waiver>/grant/", review.grant_waiver, name="waiver_grant"),
    path("waivers/<uuid:waiver>/refuse/", review.refuse_waiver, name="waiver_refuse"),
    path("waivers/<uuid:waiver>/revoke/", review.revoke_waiver, name="waiver_revoke"),
]

urlpatterns = [
    path("", home.home, name="home"),
    path("search/", home.search, name="search"),
    path("teams/new/", teams.new, name="team_new"),
    path("t/<slug:team>/", include(_team)),
    path("hooks/<uuid:webhook>/", webhooks.receive, name="hook"),
    path("invitations/<str:token>/", invitations.invitation, name="invitation"),
    path("invitations/<str:token>/accept/", invitations.accept, name="invitation_accept"),
    path("review/", include(_review)),
    path("policies/", policies.policies, name="policies"),
    path("audit/", audit.audit, name="audit"),
    path("health/", health.health, name="health"),
    path("notices/", notices.index, name="notices"),
    path("notices/read/", notices.read_all, name="notices_read"),
    path("notices/<uuid:notice>/", notices.follow, name="notice"),
    path("palette.json", home.palette, name="palette"),
    path("starters/<str:kind>/<path:name>", listings.starter, name="starter"),
    path("schema/slipway.json", versions.schema, name="spec_schema"),
    path("schema/report-1.json", reports.report_schema, name="report_schema"),
    path("schema/comparison-1.json", reports.comparison_schema, name="comparison_schema"),
]
