package bus

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// keep leaves an id as it is.
const keep = ^uintptr(0)

// setIDs changes the effective id of this thread alone; call is
// SYS_SETRESUID or SYS_SETRESGID.
func setIDs(call uintptr, effective int) error {
	if _, _, errno := unix.RawSyscall(call, keep, uintptr(effective), keep); errno != 0 {
		return errno
	}
	return nil
}

// setGroups changes the supplementary groups of this thread alone.
func setGroups(gids []int) error {
	list := make([]uint32, len(gids)+1) // one more, so that there is a first
	for i, g := range gids {
		list[i] = uint32(g)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(gids)), uintptr(unsafe.Pointer(&list[0])), 0); errno != 0 {
		return errno
	}
	return nil
}

// setFileUser changes who this thread is for the file system. The call reports
// no failure; connecting shows it.
func setFileUser(uid int) error {
	unix.RawSyscall(unix.SYS_SETFSUID, uintptr(uid), 0, 0)
	return nil
}
