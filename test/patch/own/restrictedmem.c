/*
 * Restricted memory between two files, written for the tests in the kernel's style: what the
 * model's functions do, said in C. Not from any kernel.
 */

static int restrictedmem_release(struct inode *inode, struct file *outer)
{
	struct restrictedmem *r = inode->i_mapping->private_data;
	struct file *inner = r->memfd;

	xa_destroy(&r->bindings);
	fput(inner);
	kfree(r);
	return 0;
}

static long restrictedmem_punch_hole(struct restrictedmem *r, int how, loff_t from, loff_t bytes)
{
	struct restrictedmem_notifier *user;
	pgoff_t first, behind;
	unsigned long i;
	long err;

	if (!PAGE_ALIGNED(from))
		return -EINVAL;
	if (!PAGE_ALIGNED(bytes))
		return -EINVAL;

	first = from >> PAGE_SHIFT;
	behind = (from + bytes) >> PAGE_SHIFT;

	/* The same users must hear of the beginning and of the end. */
	down_read(&r->lock);
	xa_for_each_range(&r->bindings, i, user, first, behind)
		user->ops->invalidate_start(user, first, behind);
	err = r->memfd->f_op->fallocate(r->memfd, how, from, bytes);
	xa_for_each_range(&r->bindings, i, user, first, behind)
		user->ops->invalidate_end(user, first, behind);
	up_read(&r->lock);
	return err;
}

static long restrictedmem_fallocate(struct file *outer, int how, loff_t from, loff_t bytes)
{
	struct restrictedmem *r = outer->f_mapping->private_data;

	if (!(how & FALLOC_FL_PUNCH_HOLE))
		goto pass;
	return restrictedmem_punch_hole(r, how, from, bytes);
pass:
	return r->memfd->f_op->fallocate(r->memfd, how, from, bytes);
}

static int restrictedmem_setattr(struct user_namespace *ns, struct dentry *dentry,
				 struct iattr *attr)
{
	struct restrictedmem *r = d_inode(dentry)->i_mapping->private_data;
	struct inode *inner = r->memfd->f_inode;

	if (attr->ia_valid & ATTR_SIZE) {
		if (inner->i_size)
			return -EPERM;
		if (!PAGE_ALIGNED(attr->ia_size))
			return -EINVAL;
	}
	return inner->i_op->setattr(ns, file_dentry(r->memfd), attr);
}

int restrictedmem_bind(struct file *outer, pgoff_t start, pgoff_t end,
		       struct restrictedmem_notifier *user, bool exclusive)
{
	struct restrictedmem *r = outer->f_mapping->private_data;
	int err = -EINVAL;

	down_write(&r->lock);
	if (!exclusive)
		goto unlock;
	if (!xa_empty(&r->bindings) && exclusive != r->exclusive)
		goto unlock;
	if (xa_find(&r->bindings, &start, end, XA_PRESENT))
		goto unlock;
	xa_store_range(&r->bindings, start, end, user, GFP_KERNEL);
	r->exclusive = exclusive;
	err = 0;
unlock:
	up_write(&r->lock);
	return err;
}

void restrictedmem_unbind(struct file *outer, pgoff_t start, pgoff_t end,
			  struct restrictedmem_notifier *user)
{
	struct restrictedmem *r = outer->f_mapping->private_data;

	down_write(&r->lock);
	xa_store_range(&r->bindings, start, end, NULL, GFP_KERNEL);
	synchronize_rcu();
	up_write(&r->lock);
}

int restrictedmem_get_page(struct file *outer, pgoff_t offset, struct page **pagep, int *order)
{
	struct restrictedmem *r = outer->f_mapping->private_data;
	struct folio *folio;
	int err;

	if (WARN_ON_ONCE(!xa_load(&r->bindings, offset)))
		return -EINVAL;

	err = shmem_get_folio(file_inode(r->memfd), offset, &folio, SGP_WRITE);
	if (err)
		return err;

	*pagep = folio_file_page(folio, offset);
	if (order)
		*order = 0;
	SetPageUptodate(*pagep);
	unlock_page(*pagep);
	return 0;
}
