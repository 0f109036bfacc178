package audit

import "qvmremote/daemon/disk"

// Every change of state is a record, so the two moments around each event are
// crash points: the record is decided and not on the disk, and the record is on
// the disk and its writer was not told. The names are written out because the
// list of all points is made from the source.

// beforeRecord is reached when a record of the event is about to be written.
func beforeRecord(e Event) {
	switch e {
	case Claim:
		disk.Point("audit.claim:before-record")
	case Run:
		disk.Point("audit.run:before-record")
	case Final:
		disk.Point("audit.final:before-record")
	case Delivered:
		disk.Point("audit.delivered:before-record")
	case Refused:
		disk.Point("audit.refused:before-record")
	case RefusedCount:
		disk.Point("audit.refused-count:before-record")
	case Replayed:
		disk.Point("audit.replayed:before-record")
	case Dropped:
		disk.Point("audit.dropped:before-record")
	case Authorized:
		disk.Point("audit.authorized:before-record")
	case Revoked:
		disk.Point("audit.revoked:before-record")
	case Rotating:
		disk.Point("audit.rotating:before-record")
	case Rotated:
		disk.Point("audit.rotated:before-record")
	case Floor:
		disk.Point("audit.floor:before-record")
	case Connected:
		disk.Point("audit.connected:before-record")
	case Disconnected:
		disk.Point("audit.disconnected:before-record")
	case Cleaned:
		disk.Point("audit.cleaned:before-record")
	case Setting:
		disk.Point("audit.setting:before-record")
	case Started:
		disk.Point("audit.started:before-record")
	case Stopped:
		disk.Point("audit.stopped:before-record")
	case Enabled:
		disk.Point("audit.enabled:before-record")
	case Disabled:
		disk.Point("audit.disabled:before-record")
	case Paused:
		disk.Point("audit.paused:before-record")
	case Resumed:
		disk.Point("audit.resumed:before-record")
	case StoppedEverything:
		disk.Point("audit.stopped-everything:before-record")
	case Recovered:
		disk.Point("audit.recovered:before-record")
	case Approved:
		disk.Point("audit.approved:before-record")
	case Suspended:
		disk.Point("audit.suspended:before-record")
	case Readmitted:
		disk.Point("audit.readmitted:before-record")
	case CarryEvent:
		disk.Point("audit.carry:before-record")
	case Torn:
		disk.Point("audit.torn:before-record")
	case Loss:
		disk.Point("audit.loss:before-record")
	case Pruned:
		disk.Point("audit.pruned:before-record")
	}
}

// afterRecord is reached when it is on the disk and the head covers it.
func afterRecord(e Event) {
	switch e {
	case Claim:
		disk.Point("audit.claim:after-record")
	case Run:
		disk.Point("audit.run:after-record")
	case Final:
		disk.Point("audit.final:after-record")
	case Delivered:
		disk.Point("audit.delivered:after-record")
	case Refused:
		disk.Point("audit.refused:after-record")
	case RefusedCount:
		disk.Point("audit.refused-count:after-record")
	case Replayed:
		disk.Point("audit.replayed:after-record")
	case Dropped:
		disk.Point("audit.dropped:after-record")
	case Authorized:
		disk.Point("audit.authorized:after-record")
	case Revoked:
		disk.Point("audit.revoked:after-record")
	case Rotating:
		disk.Point("audit.rotating:after-record")
	case Rotated:
		disk.Point("audit.rotated:after-record")
	case Floor:
		disk.Point("audit.floor:after-record")
	case Connected:
		disk.Point("audit.connected:after-record")
	case Disconnected:
		disk.Point("audit.disconnected:after-record")
	case Cleaned:
		disk.Point("audit.cleaned:after-record")
	case Setting:
		disk.Point("audit.setting:after-record")
	case Started:
		disk.Point("audit.started:after-record")
	case Stopped:
		disk.Point("audit.stopped:after-record")
	case Enabled:
		disk.Point("audit.enabled:after-record")
	case Disabled:
		disk.Point("audit.disabled:after-record")
	case Paused:
		disk.Point("audit.paused:after-record")
	case Resumed:
		disk.Point("audit.resumed:after-record")
	case StoppedEverything:
		disk.Point("audit.stopped-everything:after-record")
	case Recovered:
		disk.Point("audit.recovered:after-record")
	case Approved:
		disk.Point("audit.approved:after-record")
	case Suspended:
		disk.Point("audit.suspended:after-record")
	case Readmitted:
		disk.Point("audit.readmitted:after-record")
	case CarryEvent:
		disk.Point("audit.carry:after-record")
	case Torn:
		disk.Point("audit.torn:after-record")
	case Loss:
		disk.Point("audit.loss:after-record")
	case Pruned:
		disk.Point("audit.pruned:after-record")
	}
}
