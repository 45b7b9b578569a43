"""What pages show, read in few queries. Functions return template contexts."""

from listings.queries.credentials import credential_page, credentials_page
from listings.queries.home import current_team, home, search
from listings.queries.listings import listing_page, listings_of, next_number
from listings.queries.policies import policy_page
from listings.queries.releases import release_page, release_request_page, releases_of
from listings.queries.report import before_of, comparison_of, comparison_page, report_of, report_page
from listings.queries.review import review_queue
from listings.queries.sources import source_page
from listings.queries.teams import team_page, waivers_of
from listings.queries.versions import version_page

__all__ = [
    "before_of", "comparison_of", "comparison_page", "credential_page", "credentials_page", "current_team", "home",
    "listing_page", "listings_of", "next_number", "policy_page", "release_page", "release_request_page", "releases_of",
    "report_of", "report_page", "review_queue", "search", "source_page", "team_page", "version_page", "waivers_of",
]  # fmt: skip
