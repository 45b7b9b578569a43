"""The pages. Thin: find, ask the service or the query, render. Every view is ``guarded``."""
