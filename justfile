# The steps of CI by name; `.ci/run` says what each one does.

# All that must hold before a change lands.
ci:
    .ci/run

fmt:
    cargo fmt --all

clippy:
    .ci/run clippy

doc:
    .ci/run doc

test:
    .ci/run test

deny:
    .ci/run deny

machete:
    .ci/run machete

# The vendors' SDKs and a real engine; `just clients python node` runs some suites only.
clients *suites:
    tests/clients/run {{suites}}

# The format, lints and documentation.
check:
    .ci/run fmt clippy doc
