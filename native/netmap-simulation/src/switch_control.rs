//! Switches: attaching devices, listing, persistent ports, virtio-net headers.
use crate::abi::mode;
use crate::control_request::{Control, of_body};
use crate::errno::Errno;
use crate::port::{Parsed, parse};
use crate::register::Request;
use crate::shared::Shared;
use crate::tables::{Kind, name_octets, name_of};
use crate::user::Fields;

/// What a list by name gives for a port that the switch has not.
const NO_PORT: u32 = 255;

impl Shared {
    /// VALE_ATTACH.
    pub(crate) fn attach_device(&self, control: &mut Control) -> Result<(), Errno> {
        let tables = self.control();
        let _lock = tables.lock.lock();
        self.reap_locked();
        let octets = name_octets(&control.name);
        let Parsed::Vale(switch, device) = parse(octets)? else { return Err(Errno(libc::EINVAL)) };
        let request = of_body(control.name, &control.body);
        let index = self.port_by_name(device).ok_or(Errno(libc::EINVAL))?;
        let port = &tables.ports[index];
        let kind = Kind::of(port.kind.get());
        if !matches!(kind, Some(Kind::Hardware | Kind::Vale)) || port.vanished.is_set() {
            return Err(Errno(libc::ENXIO));
        }
        if !matches!(request.mode, mode::ALL_NIC | mode::NIC_SW) {
            return Err(Errno(libc::EINVAL));
        }
        if port.switch.is_set() || port.users.is_set() || port.taken.is_set() {
            return Err(Errno(libc::EBUSY));
        }
        self.attach(switch, index)?;
        control.body.put_u32(56, port.switch_port.get());
        Ok(())
    }

    /// VALE_DETACH.
    pub(crate) fn detach_device(&self, control: &mut Control) -> Result<(), Errno> {
        let tables = self.control();
        let _lock = tables.lock.lock();
        self.reap_locked();
        let octets = name_octets(&control.name);
        let Parsed::Vale(switch, device) = parse(octets)? else { return Err(Errno(libc::EINVAL)) };
        let index = self.member(switch, octets, device).ok_or(Errno(libc::ENXIO))?;
        let port = &tables.ports[index];
        if port.users.is_set() {
            return Err(Errno(libc::EBUSY));
        }
        control.body.put_u32(0, port.switch_port.get());
        self.detach(port);
        self.collect();
        Ok(())
    }

    /// VALE_LIST: a port by name, or the next one from a position on.
    pub(crate) fn list(&self, control: &mut Control) -> Result<(), Errno> {
        let tables = self.control();
        let _lock = tables.lock.lock();
        self.reap_locked();
        let octets = name_octets(&control.name);
        if !octets.is_empty() {
            let (switch, device) = match octets.strip_suffix(b":") {
                Some(switch) => (switch, &b""[..]),
                None => match parse(octets)? {
                    Parsed::Vale(switch, device) => (switch, device),
                    Parsed::Device(_) | Parsed::Pipe(_) => return Err(Errno(libc::EINVAL)),
                },
            };
            let row = self.switch_by_name(switch).ok_or(Errno(libc::ENOENT))?;
            let port = self.member(switch, octets, device).and_then(|index| tables.ports.get(index));
            control.body.put_u16(0, row as u16);
            control.body.put_u32(4, port.map_or(NO_PORT, |port| port.switch_port.get()));
            return Ok(());
        }
        let (mut from_switch, mut from_port) = (usize::from(control.body.u16_at(0)), control.body.u32_at(4) as usize);
        while let Some(switch) = tables.switches.get(from_switch) {
            let rest = switch.ports.iter().enumerate().skip(from_port).filter(|_| switch.used.is_set());
            if let Some((number, index)) = rest.filter_map(|(number, port)| Some((number, port.index()?))).next() {
                let port = tables.ports.get(index).ok_or(Errno(libc::ENOENT))?;
                let own = port.name.get();
                let mut full = name_octets(&switch.name.get()).to_vec();
                full.push(b':');
                let own = name_octets(&own);
                let is_full = own.starts_with(&full);
                control.name = if is_full { name_of(own) } else { name_of(&[full.as_slice(), own].concat()) };
                control.body.put_u16(0, from_switch as u16);
                control.body.put_u32(4, number as u32);
                return Ok(());
            }
            (from_switch, from_port) = (from_switch + 1, 0);
        }
        Err(Errno(libc::ENOENT))
    }

    fn switch_port(&self, control: &Control) -> Result<usize, Errno> {
        let octets = name_octets(&control.name);
        match parse(octets)? {
            Parsed::Vale(switch, device) => self.member(switch, octets, device).ok_or(Errno(libc::ENXIO)),
            Parsed::Device(_) | Parsed::Pipe(_) => Err(Errno(libc::ENXIO)),
        }
    }

    /// PORT_HDR_SET.
    pub(crate) fn set_header(&self, control: &mut Control) -> Result<(), Errno> {
        let _lock = self.control().lock.lock();
        let octets = control.body.u32_at(0);
        let index = self.switch_port(control)?;
        if !matches!(octets, 0 | 10 | 12) {
            return Err(Errno(libc::EINVAL));
        }
        self.control().ports[index].header_octets.set(octets);
        Ok(())
    }

    /// PORT_HDR_GET.
    pub(crate) fn get_header(&self, control: &mut Control) -> Result<(), Errno> {
        let _lock = self.control().lock.lock();
        let index = self.switch_port(control)?;
        control.body.put_u32(0, self.control().ports[index].header_octets.get());
        Ok(())
    }

    /// VALE_NEWIF: a port that is a network device of its own.
    pub(crate) fn new_interface(&self, control: &mut Control) -> Result<(), Errno> {
        let tables = self.control();
        let _lock = tables.lock.lock();
        let octets = name_octets(&control.name);
        if !matches!(parse(octets)?, Parsed::Device(device) if !device.is_empty() && device.len() < 16) {
            return Err(Errno(libc::EINVAL));
        }
        if self.port_by_name(octets).is_some() {
            return Err(Errno(libc::EEXIST));
        }
        let mut request = Request {
            tx_slots: control.body.u32_at(0),
            rx_slots: control.body.u32_at(4),
            tx_rings: control.body.u16_at(8),
            rx_rings: control.body.u16_at(10),
            memory_id: control.body.u16_at(12),
            ..Request::of_name(control.name)
        };
        let index = self.new_sized_port(Kind::Vale, &control.name, &request)?;
        let port = &tables.ports[index];
        port.persistent.set(1);
        let region = port.region.index().and_then(|region| tables.regions.get(region)).ok_or(Errno(libc::ENXIO))?;
        crate::register::report(port, region, &mut request);
        control.body.put_u32(0, request.tx_slots);
        control.body.put_u32(4, request.rx_slots);
        control.body.put_u16(8, request.tx_rings);
        control.body.put_u16(10, request.rx_rings);
        control.body.put_u16(12, request.memory_id);
        Ok(())
    }

    /// VALE_DELIF.
    pub(crate) fn delete_interface(&self, control: &mut Control) -> Result<(), Errno> {
        let tables = self.control();
        let _lock = tables.lock.lock();
        self.reap_locked();
        let index = self.port_by_name(name_octets(&control.name)).ok_or(Errno(libc::ENXIO))?;
        let port = &tables.ports[index];
        if Kind::of(port.kind.get()) != Some(Kind::Vale) || !port.persistent.is_set() {
            return Err(Errno(libc::EINVAL));
        }
        let has_pipes = tables.ports.iter().any(|pipe| pipe.used.is_set() && pipe.parent.index() == Some(index));
        if port.users.is_set() || port.switch.is_set() || has_pipes {
            return Err(Errno(libc::EBUSY));
        }
        self.remove_port(index);
        Ok(())
    }
}
