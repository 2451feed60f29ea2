"""As everywhere else on our pages: sortable, 24 hours, no month names that push a column off a phone."""

DATE_FORMAT = "Y-m-d"
TIME_FORMAT = "H:i:s"
DATETIME_FORMAT = "Y-m-d H:i:s"
