//! Attempts to get out of a shadow: each is contained, and each is shown to work without the
//! isolation where that is safe to show (on files, sockets and processes of the test's own).
//!
//! Every attempt is acted out by this test program itself, run once inside a shadow and once
//! outside of one; what counts is what the host sees afterwards. As root, the whole suite runs a
//! second time as an ordinary user, through the unprivileged isolation.

mod escape_attempts;
mod isolation_help;

use escape_attempts::{Attempt, files, ipc, kernel, network, processes, terminal};

macro_rules! attempts {
    ($($name:ident: $make:path,)*) => {
        $(#[test]
        fn $name() {
            escape_attempts::prove(stringify!($name), &$make());
        })*

        /// How many there are.
        const ALL: usize = [$(stringify!($name)),*].len();

        fn find(name: &str) -> Option<Attempt> {
            match name {
                $(stringify!($name) => Some($make()),)*
                _ => None,
            }
        }
    };
}

attempts! {
    overwrite_a_file: files::overwrite,
    append_to_a_file: files::append,
    truncate_a_file: files::truncate,
    write_by_memory_map: files::memory_map,
    rename_a_file: files::rename,
    unlink_a_file: files::unlink,
    change_the_mode: files::mode,
    change_the_owner: files::owner,
    change_the_times: files::times,
    change_an_attribute: files::attribute,
    change_the_flags: files::flags,
    create_a_file: files::create,
    make_a_directory: files::make_directory,
    remove_a_directory: files::remove_directory,
    write_through_a_symbolic_link: files::symbolic_link,
    write_through_a_hard_link: files::hard_link,
    write_through_the_root_of_the_first_process: files::root_of_first,
    write_through_the_root_of_a_host_process: files::root_of_process,
    write_after_leaving_a_chroot: files::leave_chroot,
    write_by_file_handle: files::by_handle,
    reopen_standard_input_for_writing: files::reopen_input,
    move_the_position_of_standard_input: files::move_input,
    write_to_an_inherited_descriptor: files::inherited_file,
    write_through_an_inherited_directory: files::inherited_directory,
    hold_a_lock: files::lock,
    make_a_device_node: files::make_device,
    use_a_device_node_of_the_host: files::use_device,
    open_a_block_device: files::block_device,
    open_a_device_of_the_machine: files::machine_device,
    leave_a_core_dump: files::core_dump,
    drop_a_file_from_the_page_cache: files::page_cache,
    write_into_shared_memory_files: ipc::shared_memory_file,
    write_into_system_v_shared_memory: ipc::system_v_memory,
    send_to_a_system_v_queue: ipc::system_v_queue,
    raise_a_system_v_semaphore: ipc::system_v_semaphore,
    send_to_a_posix_queue: ipc::posix_queue,
    write_into_a_named_pipe: ipc::named_pipe,
    connect_to_an_abstract_socket: ipc::abstract_socket,
    connect_to_a_socket_by_path: ipc::path_socket,
    send_to_a_datagram_socket_by_path: ipc::path_datagram,
    connect_to_a_socket_under_run: ipc::run_socket,
    add_a_key_to_the_users_keyring: ipc::keyring,
    connect_by_loopback_tcp: network::loopback_tcp,
    send_by_loopback_udp: network::loopback_udp,
    reach_the_outside_network: network::outside,
    open_a_raw_socket: network::raw_socket,
    open_a_packet_socket: network::packet_socket,
    open_a_socket_to_the_hypervisor: network::vsock,
    open_a_kernel_crypto_socket: network::crypto_socket,
    change_a_network_interface: network::interface,
    signal_a_process: processes::signal,
    signal_a_process_group: processes::signal_group,
    signal_everything: processes::signal_all,
    trace_a_process: processes::trace,
    see_a_process: processes::see,
    write_into_the_memory_of_a_process: processes::write_memory,
    change_the_priority_of_a_process: processes::priority,
    change_the_priority_of_the_user: processes::priority_of_user,
    change_the_limits_of_a_process: processes::limits,
    outlive_the_shadow_as_a_daemon: processes::daemon,
    gain_a_user_by_a_setuid_program: processes::setuid,
    look_into_the_first_process: processes::look_into_first,
    end_the_first_process: processes::end_first,
    raise_the_own_priority: processes::raise_priority,
    run_in_real_time: processes::real_time,
    do_disk_work_in_real_time: processes::real_time_disk,
    inject_into_the_terminal: terminal::inject,
    mount_a_file_system: kernel::mount,
    make_a_user_namespace: kernel::user_namespace,
    enter_the_namespaces_of_the_first_process: kernel::enter_namespaces,
    write_a_kernel_setting: kernel::sysctl,
    write_anything_in_proc: kernel::anything_in_proc,
    write_anything_in_sys: kernel::anything_in_sys,
    open_the_magic_key: kernel::sysrq,
    set_the_host_name: kernel::host_name,
    set_the_clock: kernel::clock,
    load_a_module: kernel::module,
    load_another_kernel: kernel::kexec,
    reboot: kernel::reboot,
    swap_on: kernel::swap,
    read_the_kernel_log: kernel::log,
    load_a_bpf_map: kernel::bpf,
    open_performance_counters: kernel::perf,
    join_a_cgroup: kernel::cgroup,
}

/// Not a test of its own: acts out one attempt, where [`escape_attempts::prove`] runs it.
#[test]
fn actor() {
    if let Ok(name) = std::env::var(escape_attempts::NAME) {
        let attempt = find(&name).expect("an attempt of this name");
        escape_attempts::act(&attempt);
    }
}

#[test]
fn there_are_enough() {
    const { assert!(ALL >= 25) };
}

#[test]
fn all_of_it_as_an_ordinary_user() {
    escape_attempts::prove_as_ordinary_user("all_of_it_as_an_ordinary_user");
}
