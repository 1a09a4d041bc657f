/** A scenario with more executions than anybody waits for. */
export const endless = (name: string): string => `litmus own/${name}
"More than anybody waits for."
setup
  vm = kvm_create_vm(SW_PROTECTED)
  fd = private_memory(vm, 2P)
  bind(vm, slot=0, gpa=0, size=2P, fd=fd, offset=0)
  set_attributes(vm, gpa=0, size=2P, PRIVATE)
task vcpu0
  guest_write(vm, gpa=0, 1)
  guest_write(vm, gpa=4096, 1)
task vcpu1
  guest_write(vm, gpa=4096, 2)
  guest_write(vm, gpa=0, 2)
task vmm
  fallocate(fd, KEEP_SIZE|PUNCH_HOLE, 0, 2P)
task kcompactd
  migrate(fd, page=0)
  migrate(fd, page=1)
`
