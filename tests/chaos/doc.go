// Package chaos breaks the system while customers talk to it, and holds what they
// heard against what Temporal knows: every part is a process of its own that is
// killed at any moment, and every two are joined by a link that is cut. What must
// hold is listed with invariant.
package chaos
