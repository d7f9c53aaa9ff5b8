"""How servers are reached: addresses, proxies, keys, one bounded request, and waiting until an outage is over."""
