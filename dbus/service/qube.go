package service

import (
	"context"

	"qvmremote/daemon/admin"
	"qvmremote/dbus"
	"qvmremote/queue"
)

// qube has one Go method for each of org.qvmremote1.Qube, and no other. The
// qube is the one whose object was called.
type qube struct{ s *Service }

// name is the qube whose object was called.
func (q qube) name(c caller) (string, error) {
	name, ok := dbus.QubeName(c.path)
	if ok {
		_, ok = q.s.objects.now.Load().find(c.path, dbus.QubeInterface)
	}
	if !ok {
		return "", fail(dbus.NoSuchObject, "there is no qube at %s; see ListQubes", clip(string(c.path)))
	}
	return name, nil
}

// Start starts the qube.
func (q qube) Start(ctx context.Context, c caller) error {
	return q.power(ctx, c, "start", (*admin.Admin).StartQube)
}

// ShutDown shuts the qube down.
func (q qube) ShutDown(ctx context.Context, c caller) error {
	return q.power(ctx, c, "shut down", (*admin.Admin).ShutDownQube)
}

// Resume has its requests taken again.
func (q qube) Resume(ctx context.Context, c caller) ([]string, error) {
	name, err := q.name(c)
	if err != nil {
		return nil, err
	}
	ch, err := q.s.admin(c).Readmit(ctx, name)
	_, warnings, err := manager(q).changed(ch, err)
	return warnings, err
}

// power changes the qube's power state, and publishes what it is then before
// the caller learns that it is done.
func (q qube) power(ctx context.Context, c caller, verb string, change func(*admin.Admin, context.Context, string) error) error {
	name, err := q.name(c)
	if err != nil {
		return err
	}
	if _, busy := q.s.moving.LoadOrStore(name, true); busy {
		return fail(dbus.LimitsExceeded, "%s is being started or shut down already; wait for the end of that", name)
	}
	defer q.s.moving.Delete(name)
	q.s.o.Log.Info("asked to "+verb+" a qube", "qube", name, "who", c.who)
	err = change(q.s.admin(c), ctx, name)
	if _, unknown := q.s.objects.look.ask(ctx, 0); unknown != nil {
		q.s.o.Log.Debug("cannot ask for the qubes", "error", unknown)
	}
	q.s.objects.refresh(q.s.life)
	return err
}

// one does something to the queue of the caller's qube.
func (q qube) one(c caller, do func(vms []string) []admin.QueueReport) (admin.QueueReport, error) {
	name, err := q.name(c)
	if err != nil {
		return admin.QueueReport{}, err
	}
	reports := do([]string{name})
	if len(reports) != 1 {
		return admin.QueueReport{}, fail(dbus.Cancelled, "nothing was asked: the service ends")
	}
	r := reports[0]
	r.Note = shown(r.Note)
	r.Done = sentences(r.Done)
	return r, nil
}

// QueueStatus counts what lies in the queue.
func (q qube) QueueStatus(ctx context.Context, c caller) (uint32, uint32, uint32, string, error) {
	r, err := q.one(c, func(vms []string) []admin.QueueReport { return q.s.admin(c).Queues(ctx, vms) })
	return uint32(r.Pending), uint32(r.Running), uint32(r.Results), r.Note, err
}

// entry is a file in the queue.
type entry struct {
	Folder, Name string
	Size, Age    uint64
	Word         string
}

// QueueEntries lists the files.
func (q qube) QueueEntries(ctx context.Context, c caller) ([]entry, uint64, string, error) {
	r, err := q.one(c, func(vms []string) []admin.QueueReport { return q.s.admin(c).Queues(ctx, vms) })
	out := []entry{}
	for _, e := range r.Entries {
		out = append(out, entry{queue.Escape(string(e.Folder), maxName), queue.Escape(e.Name, maxFilter), uint64(max(e.Size, 0)), uint64(max(e.Age, 0)), queue.Escape(e.Word, maxName)})
	}
	return out, uint64(max(r.More, 0)), r.Note, err
}

// CleanQueue removes what is left over.
func (q qube) CleanQueue(ctx context.Context, c caller, all bool) ([]string, uint32, string, error) {
	r, err := q.one(c, func(vms []string) []admin.QueueReport { return q.s.admin(c).Clean(ctx, vms, all) })
	return sentences(r.Done), uint32(r.Skipped), r.Note, err
}

// RecoverQueue answers what is left as running.
func (q qube) RecoverQueue(ctx context.Context, c caller) ([]string, uint32, string, error) {
	r, err := q.one(c, func(vms []string) []admin.QueueReport { return q.s.admin(c).Recover(ctx, vms) })
	return sentences(r.Done), uint32(r.Skipped), r.Note, err
}
