"""One module a page. Each has ``ROUTES``; what a page shows is read elsewhere and handed to its template."""
