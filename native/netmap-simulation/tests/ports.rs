//! Each kind of port moves frames, and loses them where the real one does.
mod user;
use netmap_simulation::{Interface, Side, Simulation};
use user::{NIOCRXSYNC, NIOCTXSYNC, User, Wish, frame, sync};

fn simulation() -> Simulation {
    Simulation::create().expect("shared memory")
}

#[test]
fn a_switch_floods_what_it_does_not_know_and_drops_what_finds_no_room() {
    let simulation = simulation();
    let [a, b, c] = ["vale0:a", "vale0:b", "vale0:c"].map(|name| User::named(&simulation, name));
    assert!(a.send(&frame(9, 1, 60, 7)));
    for other in [&b, &c] {
        assert_eq!(other.receive(), [(frame(9, 1, 60, 7), 0x0100)]);
    }
    assert!(a.receive().is_empty());
    assert!(b.send(&frame(1, 2, 60, 8))); // a is known by now
    assert_eq!(a.receive().len(), 1);
    assert!(c.receive().is_empty());
    sync(&b.descriptor, NIOCRXSYNC); // gives back what it read
    let mut sent = 0;
    while sent < 3000 {
        sent += u32::from(a.send(&frame(2, 1, 60, 9)));
    }
    assert_eq!(b.receive().len(), 1023);
}

#[test]
fn a_pipe_is_full_until_both_have_synced() {
    let simulation = simulation();
    let (master, slave) = (User::named(&simulation, "x{1"), User::named(&simulation, "x}1"));
    let mut sent = 0u8;
    while master.send(&frame(1, 2, 60, sent)) {
        sent = sent.wrapping_add(1);
    }
    assert_eq!(master.room(master.tx()), 0);
    sync(&slave.descriptor, NIOCRXSYNC);
    (0..10).for_each(|fill| assert_eq!(slave.take(), Some((frame(1, 2, 60, fill), 0))));
    sync(&master.descriptor, NIOCTXSYNC);
    assert_eq!(master.room(master.tx()), 0);
    sync(&slave.descriptor, NIOCRXSYNC);
    assert_eq!(master.room(master.tx()), 0);
    sync(&master.descriptor, NIOCTXSYNC);
    assert_eq!(master.room(master.tx()), 10);
}

#[test]
fn devices_on_one_cable_carry_each_slot_as_a_frame() {
    let simulation = simulation();
    for name in ["eth0", "eth1"] {
        simulation.add_interface(name, Interface::default()).expect(name);
    }
    simulation.connect("eth0", Side::Wire, "eth1").expect("cable");
    let (near, far) = (User::named(&simulation, "eth0"), User::named(&simulation, "eth1"));
    assert_eq!((near.registered.octets, near.registered.memory_id), (343_019_520, 1));
    for length in [13, 14, 60, 1514, 1515, 1519] {
        assert!(near.put(&frame(1, 2, length, length as u8), 0x20));
    }
    sync(&near.descriptor, NIOCTXSYNC);
    let lengths: Vec<usize> = far.receive().iter().map(|(octets, _)| octets.len()).collect();
    assert_eq!(lengths, [14, 60, 1514, 1515]);
    assert_eq!(simulation.dropped("eth0"), Ok((2, 0)));
    simulation.inject("eth1", &frame(1, 2, 3000, 5)).expect("eth1");
    let pieces: Vec<(usize, u16)> = far.receive().iter().map(|(octets, flags)| (octets.len(), *flags)).collect();
    assert_eq!(pieces, [(2048, 0x20), (952, 0)]);
}

const MONITOR_TX: u64 = 0x100;
const MONITOR_RX: u64 = 0x200;
const ZERO_COPY_MONITOR: u64 = 0x400;

#[test]
fn a_monitor_sees_what_its_port_sends_and_receives_and_keeps_the_port() {
    let simulation = simulation();
    let (a, b) = (User::named(&simulation, "vale0:a"), User::named(&simulation, "vale0:b"));
    let wish = Wish { name: "vale0:a", flags: MONITOR_TX | MONITOR_RX, ..Wish::default() };
    let monitor = User::open(&simulation, wish).expect("monitor");
    assert_ne!(monitor.registered.memory_id, a.registered.memory_id);
    let (sent, came) = (frame(2, 1, 60, 1), frame(1, 2, 61, 2));
    assert!(a.send(&sent) && b.send(&came));
    sync(&monitor.descriptor, NIOCRXSYNC);
    assert_eq!(monitor.receive(), [(sent, 0x40), (came, 0x100)]);
    for _ in 0..2000 {
        assert!(a.send(&frame(2, 1, 60, 3))); // a monitor that does not read holds nobody up
    }
    drop(a);
    assert!(b.send(&frame(1, 2, 60, 4)));
    drop(monitor);
    assert_eq!(User::named(&simulation, "vale0:a").registered.octets, 42_369_024);
}

#[test]
fn a_zero_copy_monitor_takes_the_buffers_of_slots_that_are_done_with() {
    let simulation = simulation();
    let (a, b) = (User::named(&simulation, "x{1"), User::named(&simulation, "x}1"));
    let wish = Wish { name: "x{1", flags: ZERO_COPY_MONITOR | MONITOR_TX, ..Wish::default() };
    let monitor = User::open(&simulation, wish).expect("monitor");
    assert_eq!(monitor.registered.memory_id, a.registered.memory_id);
    let (buffer, own) = (a.slot(a.tx(), 0).0, monitor.slot(monitor.rx(), 0).0);
    assert!(a.send(&frame(1, 2, 60, 7)));
    assert_eq!(b.receive().len(), 1);
    sync(&b.descriptor, NIOCRXSYNC);
    assert!(monitor.receive().is_empty());
    sync(&a.descriptor, NIOCTXSYNC);
    sync(&monitor.descriptor, NIOCRXSYNC);
    assert_eq!((a.slot(a.tx(), 0).0, monitor.slot(monitor.rx(), 0).0), (own, buffer));
    assert_eq!(monitor.receive(), [(frame(1, 2, 60, 7), 0x40)]);
}
