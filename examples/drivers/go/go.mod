module mockbroker.example/driver

go 1.17

require golang.org/x/oauth2 v0.3.0
