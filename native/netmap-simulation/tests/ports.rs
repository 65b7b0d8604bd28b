//! Each kind of port moves frames, and loses them where the real one does.
mod user;
use netmap_simulation::{Interface, Side, Simulation};
use user::{NIOCRXSYNC, NIOCTXSYNC, User, frame, sync};

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
