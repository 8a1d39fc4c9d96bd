"""Seasonal adjustment: X-13ARIMA-SEATS (X-11) with Chinese New Year regressors; STL where X-13 cannot run."""
